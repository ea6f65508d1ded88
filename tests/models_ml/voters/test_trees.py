"""What the tree voters make of ties, unknown columns and drift."""

from dataclasses import replace

import numpy as np
import pytest

from models_ml.samples import Samples
from models_ml.validation.metrics import rise_given_move
from models_ml.voters import voter_class
from models_ml.voters.base import (
    CROSS_GROUP,
    MISSING_SHARE,
    columns_of,
    core_columns,
    readable_rows,
    thin,
    usable_columns,
)
from models_ml.voters.random_forest import RandomForestVoter
from models_ml.voters.trees import TieRates
from models_ml.voters.xgb import XgbVoter
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
    place = int(columns_of(COLUMNS, ("trend",) if seat == "lstm" else ("momentum",))[0])
    for value, answers in ((np.nan, True), (np.inf, False), (-np.inf, False)):
        features = later.features.copy()
        features[:, :, place] = value
        assert np.isfinite(fitted(seat).predict(replace(later, features=features))).all() == answers


def test_rows_that_lack_most_of_their_core_are_not_read() -> None:
    core = np.zeros((4, 20), dtype=np.float32)
    core[1, :10] = np.nan
    core[2, :11] = np.nan
    features = np.concatenate([core, np.full((4, 30), np.nan, dtype=np.float32)], axis=1)
    features[3, 49] = np.inf
    assert readable_rows(core, features).tolist() == [True, True, False, False]
    assert readable_rows(core[:, :0], features).tolist() == [True, True, True, False]


def test_a_column_that_gaps_often_hide_is_read_but_is_no_reason_for_silence() -> None:
    """Where quiet minutes have no candle the long look-backs are known in some rows only, and say much there."""
    samples = parts()[0]
    features = samples.features.copy()
    features[:, np.arange(features.shape[1]) % 3 != 0, 2] = np.nan
    sparse = replace(samples, features=features)
    everything = np.arange(len(COLUMNS))
    chosen = usable_columns(sparse, everything)
    assert 2 in chosen
    assert 2 not in core_columns(sparse, chosen, COLUMNS)
    assert 3 in core_columns(sparse, chosen, COLUMNS)


def test_columns_of_other_instruments_are_no_core() -> None:
    chosen = columns_of(COLUMNS, (CROSS_GROUP, "momentum"))
    assert set(core_columns(parts()[0], chosen, COLUMNS)) == set(columns_of(COLUMNS, ("momentum",)))


def test_boosting_keeps_all_of_its_trees() -> None:
    voter = fitted("xgb")
    assert isinstance(voter, XgbVoter)
    assert voter.sign.num_boosted_rounds() + voter.size.num_boosted_rounds() == TINY.xgb_trees


def test_a_line_follows_later_days_while_the_trees_stay() -> None:
    train, validation, later = parts()
    voter = voter_class("xgb")(COLUMNS)
    voter.fit(train, validation, TINY)
    assert isinstance(voter, XgbVoter)
    weights, trees = voter.line.weights.copy(), voter.sign.save_raw()
    voter.renew(validation, later)
    assert not np.allclose(voter.line.weights, weights)
    assert voter.sign.save_raw() == trees


def test_the_forest_answers_as_scikit_learn_does() -> None:
    voter = fitted("random_forest")
    assert isinstance(voter, RandomForestVoter)
    rows = np.random.default_rng(0).normal(size=(40, len(voter.chosen) + 1)).astype(np.float32)
    np.testing.assert_allclose(voter.own(rows), voter.forest.predict(rows), atol=1e-12)


def test_voters_look_at_different_columns() -> None:
    forest, boosting = set(RandomForestVoter(COLUMNS).view()), set(XgbVoter(COLUMNS).view())
    assert forest & boosting >= set(columns_of(COLUMNS, ("momentum",)))
    assert forest - boosting == set(columns_of(COLUMNS, ("volume",)))
    assert boosting - forest == set(columns_of(COLUMNS, ("structure", "footing")))


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
