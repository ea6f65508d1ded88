"""Comparisons are paired, and the best of many is not believed for being the best."""

import numpy as np
import pytest

from models_ml.evaluation.comparing import cells, errors, multiplicity, paired, strongest
from models_ml.evaluation.figures import Forecast, figures
from tests.models_ml.evaluation.rows import knowing, outcomes


def test_the_better_one_is_better_by_an_interval() -> None:
    seen, truth = outcomes(20_000)
    good, poor = knowing(truth, 0.1), knowing(truth, 0.8)
    found = paired([good], [poor], seen)
    assert found["auc"] == pytest.approx(figures(good, seen)["auc"] - figures(poor, seen)["auc"])
    assert found["acc"] == pytest.approx(figures(good, seen)["acc"] - figures(poor, seen)["acc"])
    assert found["auc_ci"][0] > 0
    assert found["auc_better"] == 1.0
    same = paired([good], [good], seen)
    assert same["auc"] == 0.0
    assert same["auc_ci"] == (0.0, 0.0)


def test_only_rows_where_both_spoke_are_compared() -> None:
    seen, truth = outcomes(2_000)
    half = knowing(truth).said.copy()
    half[::2] = np.nan
    assert paired([knowing(truth)], [Forecast(half)], seen)["n"] == int(seen.moved[1::2].sum())
    nobody = paired([knowing(truth)], [Forecast(np.full(2_000, np.nan))], seen)
    assert nobody["n"] == 0
    assert nobody["auc_ci"] is None


def test_errors_of_copies_correlate_fully() -> None:
    seen, truth = outcomes()
    other = knowing(np.random.default_rng(5).normal(size=len(truth)))
    found = errors({"a": knowing(truth), "b": knowing(truth), "c": other}, seen)
    assert found["seats"] == ["a", "b", "c"]
    assert found["table"][0][1] == pytest.approx(1.0)
    assert abs(found["table"][0][2]) < 0.1
    assert found["mean"] == pytest.approx(1 / 3, abs=0.1)
    assert errors({"a": knowing(truth)}, seen)["mean"] is None


def test_cells_hold_their_own_rows() -> None:
    seen, truth = outcomes()
    first = seen.instrument == 0
    found = cells({"a": knowing(truth)}, seen, {"first": first, "second": ~first})
    assert found["first"]["a"]["n"] + found["second"]["a"]["n"] == len(truth)


def test_skill_is_told_from_luck() -> None:
    seen, truth = outcomes(40_000, days=20)
    rng = np.random.default_rng(2)
    lucky = {f"coin{number}": Forecast(rng.uniform(0.4, 0.6, len(truth))) for number in range(8)}
    table = {name: figures(one, seen) for name, one in lucky.items()}
    best = strongest(list(lucky), table)
    assert table[best]["auc"] == max(row["auc"] for row in table.values())
    with_skill = multiplicity(lucky | {"stack": knowing(truth, 0.2)}, best, "stack", seen, 12, ("A", "B"))
    assert with_skill["spa"] < 0.05
    assert with_skill["better"] == ["stack"]
    assert with_skill["deflated_sharpe"] > 0.95
    assert with_skill["pbo"] == 0.0
    assert [row["above_half"] for row in with_skill["instruments"]] == [True, True]
    without = multiplicity(lucky, best, best, seen, 12, ("A", "B"))
    assert without["spa"] > 0.05
    assert without["better"] == []
    assert without["deflated_sharpe"] < 0.95


def test_few_days_have_no_test_of_many() -> None:
    seen, truth = outcomes(1_000, days=2)
    found = multiplicity({"a": knowing(truth), "b": knowing(truth, 1.0)}, "b", "a", seen, 1, ("A", "B"))
    assert "spa" not in found
    assert found["pbo"] is None
    assert found["configurations"] == 1
    assert found["deflated_sharpe"] is None
