"""The search finds luck, the gate keeps it out, and what is really there comes through."""

from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from markets.values import FloatArray, IntArray
from models_ml.patterns import mining
from models_ml.patterns.mining import FDR, LEAST, SHARE, Mined, Record, mine
from models_ml.patterns.windows import NONE, codes, described
from models_ml.validation.multiplicity import at_least, q_values
from models_ml.validation.splits import PURGE_S, BadSplit
from tests.models_ml.features.walks import minutes, walk
from tests.models_ml.patterns.planted import LENGTH, planted, shuffled

SEEDS = 200


@cache
def market() -> tuple[IntArray, FloatArray, int]:
    return planted(1)


@cache
def mined() -> Mined:
    times, ohlcv, _ = market()
    return mine(times, ohlcv, families=())


def test_a_planted_pattern_is_promoted() -> None:
    key = described(LENGTH, market()[2]).key
    found = [trial for trial in mined().promoted if trial.key == key]
    assert [trial.direction for trial in found] == [1]
    (trial,) = found
    assert trial.later.n >= LEAST
    assert trial.later.hits / trial.later.n == pytest.approx(0.95, abs=0.1)
    assert trial.later.result_bps is not None
    assert trial.later.result_bps > 5
    assert trial.p <= trial.q <= FDR


def test_on_shuffled_minutes_promotions_stay_under_the_level() -> None:
    """Everything that is promoted here is false, so the share of seeds with a promotion is the false-discovery rate."""
    times, ohlcv, _ = market()
    candidates, promoting = 0, 0
    for seed in range(SEEDS):
        found = mine(times, shuffled(np.random.default_rng(seed), ohlcv), families=())
        candidates += len(found.trials)
        promoting += bool(found.promoted)
    assert candidates > 2 * SEEDS, "the search is tempted on every seed"
    assert promoting / SEEDS <= FDR


def test_named_patterns_on_shuffled_minutes_are_gated_like_the_others() -> None:
    times, ohlcv, _ = market()
    promoting, tested = 0, 0
    for seed in range(20):
        found = mine(
            times[:1200], shuffled(np.random.default_rng(seed), ohlcv[:2, :1200]), families=("structure", "candle")
        )
        named = [trial for trial in found.trials if trial.kind == "named"]
        tested += len(named)
        promoting += bool(found.promoted)
    assert tested > 20 * 5
    assert promoting <= 2, "of 20 seeds 1 is expected at most"


def test_every_candidate_tried_is_counted_not_only_the_promising_ones() -> None:
    times, ohlcv, _ = market()
    found = mined()
    assert found.tried > len(found.trials) > len(found.promoted)
    split = np.searchsorted(times, found.split_at)
    looked = 0
    for _, names in codes(times, ohlcv):
        earlier = names[:, : split - PURGE_S // 60]
        once = {
            (int(name), int(step))
            for _, step in np.argwhere(earlier != NONE)
            for name in set(earlier[:, step]) - {NONE}
        }
        counts = np.bincount([name for name, _ in once])
        looked += 2 * int((counts >= LEAST).sum())
    assert found.tried == looked


def test_candidates_met_the_filter_in_the_earlier_part_alone() -> None:
    for trial in mined().trials:
        assert trial.earlier.n >= LEAST
        assert trial.earlier.hits >= SHARE * trial.earlier.n
        assert trial.earlier.last is not None
        assert trial.earlier.last + 60 + PURGE_S <= mined().split_at + 60
        assert trial.later.first is None or trial.later.first >= mined().split_at


def test_the_later_part_takes_no_part_in_the_search() -> None:
    times, ohlcv, _ = market()
    split = int(np.searchsorted(times, mined().split_at))
    other = ohlcv.copy()
    other[:, split:] = shuffled(np.random.default_rng(5), ohlcv)[:, split:] / 100 * ohlcv[:, split - 1 : split, 3:4]
    assert found_earlier(mine(times, other, families=())) == found_earlier(mined())


def found_earlier(found: Mined) -> set[tuple[str, int, Record]]:
    """What the search alone found."""
    return {(trial.key, trial.direction, trial.earlier) for trial in found.trials}


def test_the_test_is_the_exact_tail_against_the_base_rate_of_its_direction() -> None:
    for trial in mined().trials[:20]:
        if trial.later.n:
            assert trial.p == pytest.approx(binom.sf(trial.later.hits - 1, trial.later.n, trial.base), rel=1e-9)
    assert mined().base_up + mined().base_down == pytest.approx(1), "shares of the minutes that moved"


def test_instruments_that_move_together_count_once_a_minute() -> None:
    times, ohlcv, _ = market()
    twins = np.concatenate([ohlcv, ohlcv])
    one, both = mined(), mine(times, twins, families=())
    assert [(t.key, t.earlier.n, t.later.n) for t in both.trials] == [
        (t.key, t.earlier.n, t.later.n) for t in one.trials
    ]
    assert both.tried == one.tried


def test_missing_minutes_and_sessions_make_no_outcome() -> None:
    times, ohlcv, _ = market()
    holed = ohlcv.copy()
    holed[:, 1500:1520] = np.nan
    found = mine(times, holed, families=())
    assert found.windows < mined().windows - 3 * 20 * 10
    apart = times.copy()
    apart[1500:] += 86_400
    moves = mining._market(apart, ohlcv).moves
    assert np.isnan(moves[:, [1499, len(times) - 1]]).all()
    assert np.isfinite(moves[:, 1498]).all()


def test_a_busy_market_that_ties_less_often_knows_no_direction() -> None:
    """Candles with a body come in busy hours, which tie less: were a tie a miss, they would beat both base rates."""
    rng = np.random.default_rng(4)
    busy = np.repeat(rng.random((3, 75)) < 0.4, 40, axis=1)
    body = rng.normal(0, 1e-3, busy.shape) * (rng.random(busy.shape) < np.where(busy, 0.95, 0.15))
    close = 100 * np.exp(np.cumsum(body, axis=1))
    opened = np.concatenate([np.full((3, 1), 100.0), close[:, :-1]], axis=1)
    high, low = np.maximum(opened, close) * 1.0001, np.minimum(opened, close) * 0.9999
    ohlcv = np.stack([opened, high, low, close, np.ones_like(close)], axis=-1)
    found = mine(minutes(busy.shape[1]), ohlcv, families=("candle", "structure"))
    both = [trial for trial in found.trials if trial.later.ties and trial.later.n > 50]
    assert len(both) > 5
    as_miss = [(trial.later.hits / (trial.later.n + trial.later.ties)) for trial in both]
    assert np.mean(as_miss) > 0.30, "a third of all minutes would look like little"
    assert found.promoted == ()


def test_nothing_handed_in_is_changed_and_the_same_comes_out() -> None:
    times, ohlcv = minutes(900), walk(2, 900, seed=2)
    kept = ohlcv.copy()
    assert mine(times, ohlcv) == mine(times, ohlcv)
    np.testing.assert_array_equal(ohlcv, kept)


def test_a_history_too_short_to_split_is_refused() -> None:
    with pytest.raises(BadSplit):
        mine(minutes(3), walk(1, 3), families=())


# ---- arithmetic


def test_tails_are_exact() -> None:
    hits, n, rate = np.array([0, 8, 10, 3]), np.array([10, 10, 10, 0]), np.array([0.5, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(at_least(hits, n, rate), [1.0, 56 / 1024, 1 / 1024, 1.0])


def test_the_correction_counts_what_is_not_listed() -> None:
    p = np.array([0.01, 0.001, 0.04])
    np.testing.assert_allclose(q_values(p, 3), [0.015, 0.003, 0.04])
    np.testing.assert_allclose(q_values(p, 30), [0.15, 0.03, 0.4])
    assert len(q_values(np.empty(0), 10)) == 0
    with pytest.raises(ValueError, match="count every candidate"):
        q_values(p, 2)
