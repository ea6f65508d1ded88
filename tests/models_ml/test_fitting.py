"""Splits, thresholds and the map from score to probability."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_ml.features import COLUMNS as ALL_COLUMNS
from models_ml.features import build
from models_ml.fitting import (
    BIN_ROWS,
    MAX_BINS,
    calibrate,
    decision_times,
    fit_panel,
    neutral_threshold,
    predict_panel,
    sure_figures,
)
from models_ml.panel import LoadedModel, vote
from models_ml.samples import Samples
from models_ml.validation.metrics import wilson
from models_ml.validation.splits import PURGE_S
from models_ml.voters import LOCAL_SEATS, SEATS
from models_ml.votes import AbstainReason
from tests.models_ml.small import TINY, majority, market
from tests.models_ml.worlds import COLUMNS, last_rows


def test_a_panel_is_fitted_in_the_order_of_time() -> None:
    steps: list[tuple[str, int, int]] = []
    fit = fit_panel(
        replace(market(), books=None),
        TINY,
        columns=COLUMNS,
        score=majority,
        seats=("gru", "xgb", "cnn_lstm_book", "grok"),
        on_progress=lambda *step: steps.append(step),
    )
    assert set(fit.voters) == {"gru", "xgb"}
    assert "load more history" in fit.untrained["cnn_lstm_book"]
    assert {seat for seat, _, _ in steps} == {"gru", "xgb"}
    train, validation, later = (fit.slices[name] for name in ("train", "validation", "calibration"))
    assert validation[0] - train[1] >= PURGE_S
    assert later[0] - validation[1] >= PURGE_S
    assert fit.trained_until == decision_times(market()).max()
    assert fit.calibration["rows"] == later[2]
    assert sum(fit.calibration["n"]) == fit.calibration["decisions"] > 0
    assert fit.voters["xgb"].metrics["n"] == validation[2]
    assert fit.voters["xgb"].later["n"] == later[2] - 2  # the last minute of each instrument has no outcome yet
    assert fit.voters["xgb"].threshold >= 0


def test_a_fitted_panel_votes_the_same_live_as_on_a_slice() -> None:
    samples = market()
    fit = fit_panel(samples, TINY, columns=COLUMNS, score=majority, seats=("xgb", "random_forest"))
    now = last_rows(samples)
    models: dict[str, LoadedModel | AbstainReason] = {
        seat: LoadedModel(one.voter, 1, one.threshold, fit.trained_until) for seat, one in fit.voters.items()
    }
    live = vote(now, models, deadline_s=5, now=fit.trained_until)
    offline = predict_panel(fit.voters, now)
    np.testing.assert_array_equal(live.probabilities, offline.probabilities)
    np.testing.assert_array_equal(live.direction, offline.direction)
    np.testing.assert_array_equal(live.abstained, offline.abstained)


def test_the_whole_panel_learns_from_recorded_candles(candor_data: Path) -> None:
    samples = recorded(candor_data, minutes=2600)
    fit = fit_panel(samples, TINY, columns=ALL_COLUMNS, score=majority)
    assert set(fit.voters) == set(LOCAL_SEATS) - {"cnn_lstm_book"}
    votes = predict_panel(fit.voters, samples.pick(samples.index[:, 1] > 2500))
    for seat in fit.voters:
        assert (votes.abstained[:, SEATS.index(seat)] == 0).all()
        accuracy = fit.voters[seat].metrics["accuracy"]
        assert accuracy is not None
        assert 0.4 < accuracy < 0.6, "next-minute direction from candles is near a coin: more is a leak"
    assert (votes.abstained[:, SEATS.index("cnn_lstm_book")] == AbstainReason.UNTRAINED).all()


def test_an_edge_among_the_confident_sets_the_threshold_there() -> None:
    rng = np.random.default_rng(0)
    q = rng.uniform(0.3, 0.7, 20_000)
    sure = np.abs(q - 0.5) > 0.1
    right = rng.random(20_000) < np.where(sure, 0.7, 0.5)
    labels = np.where((q > 0.5) == right, 2, 0).astype(np.int8)
    threshold = neutral_threshold(np.stack([1 - q, np.zeros_like(q), q], axis=1), labels)
    assert 0.15 < threshold <= 0.21


def test_a_voter_without_edge_speaks_least() -> None:
    rng = np.random.default_rng(1)
    q = rng.uniform(0.3, 0.7, 5_000)
    labels = np.where(q > 0.5, 0, 2).astype(np.int8)  # always wrong
    p = np.stack([1 - q, np.zeros_like(q), q], axis=1)
    threshold = neutral_threshold(p, labels)
    assert (np.abs(p[:, 2] - p[:, 0]) >= threshold).mean() == pytest.approx(0.5, abs=0.01)


def test_the_surest_rows_are_chosen_by_a_threshold_from_before() -> None:
    rng = np.random.default_rng(4)
    q = rng.uniform(0.3, 0.7, 20_000)
    p = np.stack([1 - q, np.zeros_like(q), q], axis=1)
    labels = np.where(rng.random(20_000) < q, 2, 0).astype(np.int8)
    figures = sure_figures(p[:10_000], p[10_000:], labels[10_000:])
    assert figures["coverage_at_20"] == pytest.approx(0.2, abs=0.02)
    assert figures["accuracy_at_20"] == pytest.approx(0.68, abs=0.02)
    assert figures["accuracy_at_5"] == pytest.approx(0.695, abs=0.04)
    nothing = sure_figures(p[:0], p[:0], labels[:0])
    assert nothing["accuracy_at_20"] is None
    assert nothing["coverage_at_20"] is None


def test_no_rows_no_threshold() -> None:
    assert neutral_threshold(np.full((4, 3), np.nan), np.zeros(4, dtype=np.int8)) == 0.0


def test_ties_count_as_not_won() -> None:
    side = np.ones(300, dtype=np.int8)
    labels = np.repeat([2, 0, 1], 100).astype(np.int8)
    knots = calibrate(side, np.full(300, 0.6), labels)
    assert (knots["x"], knots["n"], knots["won"], knots["tied"]) == ([pytest.approx(0.6)], [300], [100], [100])
    assert knots["y"] == [pytest.approx(1 / 3)]
    assert knots["lower"] == [wilson(100, 300)[0]]


def test_down_is_won_by_a_fall() -> None:
    knots = calibrate(np.full(200, -1, dtype=np.int8), np.full(200, 0.5), np.zeros(200, dtype=np.int8))
    assert knots["won"] == [200]


def test_silence_and_unknown_outcomes_do_not_count() -> None:
    side = np.array([0, 1, 1], dtype=np.int8)
    knots = calibrate(side, np.array([0.9, np.nan, 0.5]), np.array([2, 2, -1], dtype=np.int8))
    assert knots["decisions"] == 0
    assert knots["x"] == knots["y"] == knots["lower"] == []
    assert knots["rows"] == 3


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3000), st.integers(0, 2**31))
def test_the_map_rises_and_counts_every_decision_once(rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = np.round(rng.random(rows), rng.integers(1, 6))
    labels = np.where(rng.random(rows) < 0.3 + 0.4 * score, 2, 0).astype(np.int8)
    knots = calibrate(np.ones(rows, dtype=np.int8), score, labels)
    assert sum(knots["n"]) == rows
    assert (np.diff(knots["y"]) > 0).all()
    assert (np.diff(knots["x"]) > 0).all()
    assert len(knots["n"]) <= MAX_BINS
    assert all(lower < y or y == 0 for lower, y in zip(knots["lower"], knots["y"], strict=True))
    assert min(knots["n"]) >= min(rows, BIN_ROWS)


def recorded(folder: Path, minutes: int) -> Samples:
    """BTC and ETH of May 2025 with their real features."""
    tables = [
        pq.read_table(folder / "crypto_1m" / f"binance_usdm_{name}USDT_2025.parquet").slice(3000, minutes)
        for name in ("BTC", "ETH")
    ]
    times = tables[0]["ts"].to_numpy().astype("datetime64[s]").astype(np.int64)
    ohlcv = np.stack(
        [
            np.stack([table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")], axis=1)
            for table in tables
        ]
    )
    features = build(times, ohlcv).astype(np.float32)
    rows = np.stack(np.meshgrid([0, 1], np.arange(minutes), indexing="ij"), axis=-1).reshape(-1, 2)
    return Samples(times, ohlcv, features, np.arange(2), rows)
