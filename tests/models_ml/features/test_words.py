"""The columns of words: hand-worked values, what is unknown, and that the future changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets.values import FloatArray
from models_ml.features.words import (
    DAY,
    FARTHEST,
    HOUR,
    MINUTE,
    WORD_COLUMNS,
    WORD_FEATURES,
    Events,
    Headlines,
    Moods,
    build_words,
)

AT = 1_700_000_040
NAN = float("nan")


def column(built: FloatArray, name: str, row: int = 0) -> list[float]:
    found: list[float] = built[:, row, WORD_COLUMNS.index(name)].tolist()
    return found


def headlines(
    *rows: tuple[float, float, tuple[bool, ...]], since: float = AT - 3 * DAY, until: float = AT
) -> Headlines:
    """Rows of (seconds ago, score, about)."""
    rows = tuple(sorted(rows, key=lambda row: -row[0]))
    about = np.array([row[2] for row in rows], dtype=bool).reshape(len(rows), 2)
    return Headlines(np.array([AT - row[0] for row in rows]), np.array([row[1] for row in rows]), about, since, until)


TOLD = headlines(
    (10, 0.5, (True, False)),
    (2 * HOUR, -0.1, (True, False)),
    (7 * HOUR, 0.8, (True, True)),
    (30 * HOUR, 1.0, (True, True)),
)


def test_tone_and_count_of_each_span() -> None:
    built = build_words(2, np.array([AT]), headlines=TOLD)
    assert column(built, "headline_tone_1h") == pytest.approx([0.5, NAN], nan_ok=True)
    assert column(built, "headline_tone_6h") == pytest.approx([0.2, NAN], nan_ok=True)
    assert column(built, "headline_tone_24h") == pytest.approx([0.4, 0.8])
    assert column(built, "headline_count_1h") == pytest.approx(np.log([2, 1]).tolist())
    assert column(built, "headline_count_24h") == pytest.approx(np.log([4, 2]).tolist())


def test_no_source_is_unknown_and_not_zero() -> None:
    assert np.isnan(build_words(3, np.array([AT, AT + 60]))).all()


def test_before_a_source_was_read_and_once_it_is_silent_it_is_unknown() -> None:
    young = build_words(2, np.array([AT]), headlines=replace(TOLD, since=AT - 2 * HOUR))
    assert np.isfinite(column(young, "headline_count_1h")).all()
    assert np.isnan(column(young, "headline_count_6h")).all()
    silent = build_words(2, np.array([AT]), headlines=replace(TOLD, until=AT - HOUR - 1))
    assert np.isnan(silent).all()


def test_a_headline_counts_from_the_second_it_was_observed() -> None:
    built = build_words(2, np.array([AT - 11, AT - 10, AT - 9]), headlines=TOLD)
    assert [column(built, "headline_tone_1h", row)[0] for row in range(3)] == pytest.approx(
        [NAN, 0.5, 0.5], nan_ok=True
    )


def moods(*values: float) -> Moods:
    """One value a day, the last published an hour ago; the second instrument has no index."""
    known = np.array([AT - HOUR - DAY * age for age in range(len(values))][::-1])
    both = np.stack([known, np.full(len(values), NAN)])
    return Moods(both, np.stack([np.array(values), np.full(len(values), NAN)]))


def test_fear_and_greed_its_level_and_changes() -> None:
    built = build_words(2, np.array([AT]), moods=moods(80, 1, 2, 3, 4, 5, 60, 70))
    assert column(built, "fear_greed") == pytest.approx([0.4, NAN], nan_ok=True)
    assert column(built, "fear_greed_change_1d") == pytest.approx([0.2, NAN], nan_ok=True)
    assert column(built, "fear_greed_change_7d") == pytest.approx([-0.2, NAN], nan_ok=True)


def test_an_index_of_days_ago_says_nothing_and_todays_counts_once_published() -> None:
    told = moods(40, 90)
    rows = np.array([AT - HOUR - 1, AT - HOUR, AT + 3 * DAY])
    built = build_words(2, rows, moods=told)
    assert [column(built, "fear_greed", row)[0] for row in range(3)] == pytest.approx([-0.2, 0.8, NAN], nan_ok=True)


def events(*rows: tuple[float, float, tuple[bool, ...]], since: float = -9 * DAY, until: float = 9 * DAY) -> Events:
    """Rows of (seconds from now, seconds ago it became known, about)."""
    rows = tuple(sorted(rows))
    about = np.array([row[2] for row in rows], dtype=bool).reshape(len(rows), 2)
    times, known = np.array([AT + row[0] for row in rows]), np.array([AT - row[1] for row in rows])
    return Events(times, known, about, AT + since, AT + until)


def test_minutes_to_and_since_an_event() -> None:
    told = events((20 * MINUTE, DAY, (True, False)), (-90, DAY, (True, True)), (5 * HOUR, DAY, (True, True)))
    built = build_words(2, np.array([AT]), events=told)
    assert column(built, "event_next") == [20.0, 300.0]
    assert column(built, "event_last") == [1.5, 1.5]


def test_an_event_of_now_is_both_next_and_last() -> None:
    built = build_words(2, np.array([AT]), events=events((0, DAY, (True, True))))
    assert column(built, "event_next") == column(built, "event_last") == [0.0, 0.0]


def test_far_events_are_a_day_away_and_a_calendar_that_ends_says_nothing() -> None:
    far = events((3 * DAY, 5 * DAY, (True, True)))
    built = build_words(2, np.array([AT]), events=far)
    assert column(built, "event_next") == column(built, "event_last") == [FARTHEST, FARTHEST]
    short = build_words(2, np.array([AT]), events=replace(far, since=AT - HOUR, until=AT + HOUR))
    assert np.isnan([*column(short, "event_next"), *column(short, "event_last")]).all()


def test_an_event_that_nobody_knew_of_changes_nothing() -> None:
    surprise = events((10 * MINUTE, -1, (True, True)))
    built = build_words(2, np.array([AT, AT + 1]), events=surprise)
    assert column(built, "event_next") == [FARTHEST, FARTHEST]
    assert column(built, "event_next", 1) == pytest.approx([10 - 1 / 60] * 2)


@given(
    st.lists(st.tuples(st.integers(-DAY, 2 * DAY), st.floats(-1, 1), st.booleans(), st.booleans()), max_size=30),
    st.integers(0, 2 * HOUR),
)
def test_what_became_known_later_changes_no_row(rows: list[tuple[int, float, bool, bool]], cut: int) -> None:
    """The prefix property: rows up to a moment are the same without anything that was observed after it."""
    told = headlines(*((float(ago), score, (a, b)) for ago, score, a, b in rows), until=AT + DAY)
    when = told.times <= AT + cut
    early = Headlines(told.times[when], told.scores[when], told.about[when], told.since, told.until)
    moments = np.arange(AT + cut - 5 * MINUTE, AT + cut + 1, MINUTE)
    whole, part = (build_words(2, moments, headlines=one) for one in (told, early))
    assert np.array_equal(whole, part, equal_nan=True)


def test_inputs_are_not_mutated_and_rows_do_not_depend_on_each_other() -> None:
    before = TOLD.times.copy(), TOLD.scores.copy(), TOLD.about.copy()
    moments = np.array([AT - HOUR, AT])
    both = build_words(2, moments, headlines=TOLD, moods=moods(1, 2), events=events((60, DAY, (True, True))))
    alone = build_words(2, moments[1:], headlines=TOLD, moods=moods(1, 2), events=events((60, DAY, (True, True))))
    assert np.array_equal(both[:, 1:], alone, equal_nan=True)
    assert all((a == b).all() for a, b in zip(before, (TOLD.times, TOLD.scores, TOLD.about), strict=True))


def test_every_column_says_what_it_is() -> None:
    assert len(set(WORD_COLUMNS)) == len(WORD_FEATURES) == 11
    assert all(unit and source for unit, source in WORD_FEATURES.values())
