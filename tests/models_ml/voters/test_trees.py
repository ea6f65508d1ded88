"""What the tree voters make of ties, unknown columns and drift."""

from dataclasses import replace

import numpy as np
import pytest

from models_ml.samples import Samples
from models_ml.validation.metrics import rise_given_move
from models_ml.voters import voter_class
from models_ml.voters.base import CROSS_GROUP, MISSING_SHARE, columns_of, readable_rows, thin, usable_columns
from models_ml.voters.random_forest import RandomForestVoter
from models_ml.voters.trees import TieRates
from tests.models_ml.small import TINY, fitted, parts
from tests.models_ml.worlds import COLUMNS, world


def test_tie_rates_are_shrunk_to_the_pool() -> None:
    markets = np.repeat([3, 9], [10_000, 20])
    labels = np.zeros(10_020, dtype=np.int8)
    labels[:500] = 1
    rates = TieRates.learn(markets, labels)
    often, rare, unseen = rates.of(np.array([3, 9, 77]))
    assert often == pytest.approx(0.05, abs=0.002)
    assert unseen == rates.overall == pytest.approx(0.05, abs=0.002)
    assert 0.04 < rare < unseen


def test_the_tie_is_the_same_for_all_rows_of_an_instrument() -> None:
    later = parts()[2]
    neutral = fitted("xgb").predict(later)[:, 1]
    for instrument in (0, 1):
        assert len(np.unique(neutral[later.index[:, 0] == instrument])) == 1


def test_drift_is_not_learned() -> None:
    """Four of five training minutes rise for no reason: later minutes are still called evenly."""
    samples = world(instruments=2, minutes=1200)
    ohlcv = samples.ohlcv.copy()
    risen = np.random.default_rng(0).random(ohlcv.shape[:2]) < 0.8
    ohlcv[..., 3] = ohlcv[..., 0] * np.where(risen, 1.001, 0.999)
    drifting = replace(samples, ohlcv=ohlcv)
    minute = drifting.index[:, 1]
    for seat in ("xgb", "random_forest"):
        voter = voter_class(seat)(COLUMNS)
        voter.fit(drifting.pick(minute < 800), drifting.pick(minute >= 810), TINY)
        votes = voter.predict(drifting.pick(minute >= 810))
        assert rise_given_move(votes).mean() == pytest.approx(0.5, abs=0.04)


def test_a_column_a_venue_never_has_is_left_out() -> None:
    samples = with_nan_column(parts()[0], column=2)
    assert usable_columns(samples, np.arange(len(COLUMNS))).tolist() == [n for n in range(len(COLUMNS)) if n != 2]
    assert usable_columns(samples.pick(np.zeros(0, dtype=np.int64)), np.arange(3)).tolist() == []


def test_a_column_that_only_warms_up_is_kept() -> None:
    samples = parts()[0]
    features = samples.features.copy()
    features[:, :400, 2] = np.nan
    assert 2 in usable_columns(replace(samples, features=features), np.arange(len(COLUMNS)))


@pytest.mark.parametrize("seat", ["xgb", "random_forest", "lstm"])
def test_one_unknown_column_is_no_reason_for_silence_but_infinity_is(seat: str) -> None:
    later = parts()[2].pick(np.array([60]))
    assert 1 / len(COLUMNS) <= MISSING_SHARE
    place = int(columns_of(COLUMNS, ("momentum",) if seat == "random_forest" else ("trend",))[0])
    for value, answers in ((np.nan, True), (np.inf, False), (-np.inf, False)):
        features = later.features.copy()
        features[:, :, place] = value
        assert np.isfinite(fitted(seat).predict(replace(later, features=features))).all() == answers


def test_rows_that_lack_much_are_not_read() -> None:
    rows = np.zeros((3, 20), dtype=np.float32)
    rows[1, :2] = np.nan
    rows[2, :3] = np.nan
    assert readable_rows(rows).tolist() == [True, True, False]


def test_the_forest_answers_as_scikit_learn_does() -> None:
    voter = fitted("random_forest")
    assert isinstance(voter, RandomForestVoter)
    rows = np.random.default_rng(0).normal(size=(40, len(voter.chosen) + 1)).astype(np.float32)
    np.testing.assert_allclose(voter.own(rows), voter.forest.predict(rows), atol=1e-12)


def test_voters_look_at_different_columns() -> None:
    trend = set(columns_of(COLUMNS, ("trend",)))
    assert trend.isdisjoint(RandomForestVoter(COLUMNS).view())
    assert trend <= set(voter_class("xgb")(COLUMNS).view())  # type: ignore[attr-defined]  # the class is XgbVoter


def test_thinning_keeps_order_and_is_seeded() -> None:
    samples = parts()[0]
    few = thin(samples, 100, seed=1)
    assert len(few) == 100
    np.testing.assert_array_equal(few.index, thin(samples, 100, seed=1).index)
    assert (np.diff(few.index[:, 0] * 10_000 + few.index[:, 1]) > 0).all()
    assert thin(samples, 10_000_000, seed=1) is samples


def with_nan_column(samples: Samples, column: int) -> Samples:
    features = samples.features.copy()
    features[:, :, column] = np.nan
    return replace(samples, features=features)


@pytest.mark.parametrize("seat", ["xgb", "random_forest", "lstm"])
def test_a_shard_without_others_still_gets_votes(seat: str) -> None:
    later = parts()[2].pick(np.array([60]))
    features = later.features.copy()
    features[:, :, columns_of(COLUMNS, (CROSS_GROUP,))] = np.nan
    assert np.isfinite(fitted(seat).predict(replace(later, features=features))).all()
