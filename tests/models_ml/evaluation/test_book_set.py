"""Parts follow each other, and no outcome of one part looks into the next."""

from dataclasses import replace

import numpy as np
import pytest

from models_ml.evaluation import book_set
from models_ml.evaluation.book_quotes import DAY_S, BadQuotes
from models_ml.evaluation.book_set import TARGETS, Stretch, build, divide, halve
from models_ml.features.book_frames import SUMMARY
from tests.models_ml.evaluation.quotes import START, told


def test_of_three_days_the_last_tests_and_the_second_chooses() -> None:
    days = [told(5, start=START + day * DAY_S) for day in range(3)]
    parts = divide([*days, *(replace(day, instrument="Y") for day in days)])
    assert [{stretch.session.day - days[0].day for stretch in part} for part in parts] == [{0}, {1}, {2}]
    assert [len(part) for part in parts] == [2, 2, 2]


def test_a_short_recording_is_cut_by_time() -> None:
    learn, choose, test = divide([told(100)])
    starts, ends = ([getattr(part[0], edge) - START for part in (learn, choose, test)] for edge in ("start", "end"))
    assert starts[0] == -np.inf
    np.testing.assert_allclose(starts[1:], [0.6 * 5999, 0.8 * 5999], atol=1.0)
    np.testing.assert_allclose(ends, [*starts[1:], np.inf])


def test_nights_count_nothing() -> None:
    parts = divide([told(50, start=START + day * DAY_S) for day in range(2)])
    seconds = [build(part, ["X"], 1.0).times for part in parts]
    assert [len(part) for part in parts] == [2, 1, 1]
    assert max(seconds[0]) < min(seconds[1]) < max(seconds[1]) < min(seconds[2])


def test_files_tested_elsewhere_choose_on_their_last_day() -> None:
    days = [told(5, start=START + day * DAY_S) for day in range(2)]
    learn, choose = halve(days)
    assert (learn[0].session, choose[0].session) == tuple(days)
    learn, choose = halve(days[:1])
    assert learn[0].end == choose[0].start


def test_no_outcome_looks_past_its_part() -> None:
    whole, cut = told(10), START + 400
    rows = build([Stretch(whole, START, cut)], ["X"], 1.0)
    assert rows.times.max() < cut
    later = whole.times >= cut
    prices = whole.prices.copy()
    prices[later] += 5.0
    changed = build([Stretch(replace(whole, prices=prices), START, cut)], ["X"], 1.0)
    np.testing.assert_array_equal(rows.labels, changed.labels)
    late = rows.times + 60 > cut
    assert (rows.labels[late][:, TARGETS.index(("60s", 0.0))] == -1).all()


def test_a_part_may_look_back_before_its_start() -> None:
    whole = told(10)
    rows = build([Stretch(whole, START + 300, START + 400)], ["X"], 10.0)
    assert rows.times[0] == START + 300


def test_an_instrument_never_met_has_number_zero() -> None:
    rows = build([Stretch(told(5), -np.inf, np.inf), Stretch(told(5, name="Y"), -np.inf, np.inf)], ["Y"], 5.0)
    assert set(rows.numbers.tolist()) == {0, 1}


def test_the_market_is_read_at_the_same_time() -> None:
    both = [Stretch(told(5, seed=seed, name=name), -np.inf, np.inf) for seed, name in enumerate("XY")]
    rows = build(both, ["X", "Y"], 5.0)
    own, market = np.split(rows.tensors[2], [len(SUMMARY)], axis=1)
    half = len(rows) // 2
    np.testing.assert_allclose(market[:half], own[half:], atol=1e-6)


def test_too_short_a_part_is_said() -> None:
    with pytest.raises(BadQuotes, match="two minutes"):
        build(book_set.whole([told(1)]), ["X"], 1.0)


def test_joined_rows_are_all_rows() -> None:
    first = build([Stretch(told(4), -np.inf, np.inf)], ["X"], 5.0)
    second = build([Stretch(told(5, seed=1), -np.inf, np.inf)], ["X"], 5.0)
    both = book_set.joined(first, second)
    assert len(both) == len(first) + len(second)
    np.testing.assert_array_equal(both.read(np.array([len(first)]))[1], second.read(np.array([0]))[1])
