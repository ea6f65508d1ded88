"""Each figure of the row against hand-worked values, and none where there is nothing."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from models_ml.evaluation.figures import Forecast, Outcomes, directions, figures, sure_rows, with_intervals
from tests.models_ml.evaluation.rows import MONDAY, knowing, outcomes

HOURS = MONDAY + 3600 * np.arange(6)
FOUR = Outcomes.of(
    np.array([2, 0, 1, 2, 0, -1], dtype=np.int8),
    HOURS,
    np.zeros(6, dtype=np.int64),
    np.array([2, -1, 0, 1, -1, 0]) * 1e-4,
)
SAID = np.array([0.6, 0.55, 0.7, 0.4, np.nan, 0.9])


def test_a_row_by_hand() -> None:
    found = figures(Forecast(SAID), FOUR)
    assert (found["n"], found["ties"]) == (4, 1)
    assert found["answered"] == pytest.approx(4 / 5)
    assert found["acc"] == pytest.approx(1 / 3)
    assert found["acc_ties_lost"] == pytest.approx(1 / 4)
    assert found["up_share"] == pytest.approx(2 / 3)
    assert found["auc"] == pytest.approx(1 / 2)
    assert found["log_loss"] == pytest.approx(-np.log([0.6, 0.45, 0.4]).mean())
    assert found["net_payout"] == pytest.approx((0.85 - 3) / 4)
    assert found["net_0bp"] == pytest.approx((2 - 1 + 0 - 1) / 4)
    assert found["net_1bp"] == pytest.approx(found["net_0bp"] - 2)
    assert found["turnover"] == pytest.approx((1 + 0 + 0 + 2) / 4)


def test_directions_count_a_tie_as_neither() -> None:
    found = directions(SAID, FOUR, np.isfinite(SAID) & (FOUR.labels >= 0))
    assert found["precision_up"] == pytest.approx(1 / 3)
    assert found["recall_up"] == pytest.approx(1 / 2)
    assert found["false_positive_up"] == pytest.approx(2 / 2)
    assert found["precision_down"] == 0.0
    assert found["recall_down"] == 0.0
    assert found["false_positive_down"] == pytest.approx(1 / 3)


def test_directions_agree_with_scikit_learn() -> None:
    seen, truth = outcomes(ties=0.0)
    said = knowing(truth, 0.2).said
    found = directions(said, seen, np.ones(len(said), dtype=bool))
    up = seen.labels == 2
    assert found["precision_up"] == pytest.approx(reference.precision_score(up, said > 0.5))
    assert found["recall_up"] == pytest.approx(reference.recall_score(up, said > 0.5))
    assert found["false_positive_up"] == pytest.approx(1 - reference.recall_score(~up, said < 0.5))


def test_who_knows_the_truth_is_calibrated_and_sure_where_it_is_right() -> None:
    seen, truth = outcomes(40_000)
    found = figures(knowing(truth), seen)
    assert found["ece"] < found["ece_floor"] + 0.006
    assert found["slope"] == pytest.approx(1, abs=0.1)
    assert found["acc5"] > found["acc20"] > found["acc"] > 0.55
    assert found["cov20"] == pytest.approx(0.2, abs=0.02)
    assert found["cov5"] == pytest.approx(0.05, abs=0.01)
    assert found["net_payout_20"] > found["net_payout"]
    assert found["brier_skill"] > 0.01


def test_frozen_thresholds_come_from_the_slice_before() -> None:
    seen, truth = outcomes()
    forecast = knowing(truth)
    late = forecast.confidence / 2, seen.times - 20 * 86_400  # it was half as sure then
    found = figures(replace(forecast, late=late), seen)
    assert found["cov20_frozen"] > 0.4
    assert found["cov20"] == pytest.approx(0.2, abs=0.03)
    assert "cov20_frozen" not in figures(forecast, seen)
    first_day = seen.times < MONDAY + 86_400
    assert sure_rows(replace(forecast, late=late), seen)["20"][first_day].any()


def test_held_positions_pay_no_costs() -> None:
    seen, truth = outcomes()
    one = figures(Forecast(np.full(len(truth), 0.6), held=True), seen)
    assert one["net_5bp"] == one["net_0bp"]
    assert one["turnover"] < 0.001


def test_nothing_said_has_no_figures() -> None:
    seen, truth = outcomes(200)
    found = with_intervals([Forecast(np.full(len(truth), np.nan))], seen)
    assert found["n"] == 0
    assert {key for key, value in found.items() if value is not None} == {"n", "ties", "answered", "n20", "n5"}
    assert figures(knowing(truth), seen, np.zeros(200, dtype=bool))["acc"] is None


def test_seeds_are_averaged_and_their_spread_told() -> None:
    seen, truth = outcomes()
    each = [knowing(truth, 0.2, seed) for seed in range(3)]
    whole, single = with_intervals(each, seen), [figures(one, seen) for one in each]
    assert whole["auc"] == pytest.approx(np.mean([one["auc"] for one in single]))
    assert whole["auc_sd"] == pytest.approx(np.std([one["auc"] for one in single], ddof=1))
    assert whole["n"] == single[0]["n"]
    assert whole["ci"][0] < whole["acc"] < whole["ci"][1]
    assert whole["auc_ci"][0] < whole["auc"] < whole["auc_ci"][1]
    assert with_intervals(each[:1], seen)["auc_sd"] is None


def test_three_outcomes_are_scored_where_they_are_said() -> None:
    seen, truth = outcomes(1_000)
    said = np.tile([0.4, 0.2, 0.4], (1_000, 1))
    found = figures(replace(knowing(truth), outcomes=said), seen)
    p = np.array([0.4, 0.2, 0.4])[seen.labels]
    assert found["log_loss_outcomes"] == pytest.approx(-np.log(p).mean())
