"""What may veto a signal; all vetoes are recorded."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets.values import TaintFlag
from signals import risk
from signals.risk import RISK_CHECKS, WEIGHTS, RiskRules
from tests.factories_market import context

NAN = float("nan")
CALM = RiskRules()


def vetoes(rules: RiskRules = CALM, **changes: Any) -> tuple[str, ...]:  # any field of the context
    around = context(**changes)
    return risk.vetoes_of(around, risk.score_of(risk.parts_of(around)), rules)


def test_a_calm_minute_is_not_vetoed() -> None:
    assert vetoes() == ()


def test_the_weights_sum_to_one() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)
    assert max(WEIGHTS, key=lambda name: WEIGHTS[name]) == "volatility"


@pytest.mark.parametrize(
    ("changes", "part", "value"),
    [
        ({"volatility_percentile": 0.25}, "volatility", 0.25),
        ({"volatility_percentile": NAN}, "volatility", 1.0),
        ({"range_atr": 2.0}, "range", 0.5),
        ({"range_atr": 4.0}, "range", 1.0),
        ({"range_atr": 9.0}, "range", 1.0),
        ({"range_atr": NAN}, "range", 1.0),
        ({"quality_hour": 0.98}, "quality", 0.2),
        ({"quality_hour": 0.90}, "quality", 1.0),
        ({"quality_hour": 0.50}, "quality", 1.0),
        ({"quality_hour": None}, "quality", 0.0),
        ({"taint": TaintFlag.GAP}, "quality", 1.0),
        ({"model_age": 0.4}, "age", 0.4),
        ({"model_age": 3.0}, "age", 1.0),
    ],
)
def test_each_part_of_the_score(changes: dict[str, Any], part: str, value: float) -> None:
    assert risk.parts_of(context(**changes))[part] == pytest.approx(value)


def test_the_score_is_the_weighted_mean_of_its_parts() -> None:
    assert risk.score_of({"volatility": 1, "range": 0, "quality": 0, "age": 0}) == pytest.approx(0.4)
    assert risk.score_of({"volatility": 0.5, "range": 1, "quality": 0, "age": 1}) == pytest.approx(0.6)
    assert risk.score_of(dict.fromkeys(WEIGHTS, 1.0)) == pytest.approx(1.0)
    assert risk.score_of(dict.fromkeys(WEIGHTS, 0.0)) == 0.0


@pytest.mark.parametrize(
    ("score", "label"),
    [(0.0, "LOW"), (0.349, "LOW"), (0.35, "MEDIUM"), (0.599, "MEDIUM"), (0.6, "HIGH"), (1.0, "HIGH")],
)
def test_the_label_of_a_score(score: float, label: str) -> None:
    assert risk.label_of(score) == label


@pytest.mark.parametrize(("score", "vetoed"), [(0.7, False), (0.7001, True), (1.0, True)])
def test_above_the_ceiling_nothing_is_said(score: float, vetoed: bool) -> None:
    assert ("risk_score" in risk.vetoes_of(context(), score, CALM)) == vetoed


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"volatility_percentile": 0.99}, "extreme_volatility"),
        ({"volatility_percentile": NAN}, "extreme_volatility"),
        ({"taint": TaintFlag.STALE}, "tainted_data"),
        ({"model_age": 1.0}, "model_age"),
        ({"quality_hour": 0.949}, "data_quality"),
        ({"quality_day": 0.989}, "data_quality"),
        ({"to_event": 14.9}, "news_window"),
        ({"to_event": 0.0}, "news_window"),
        ({"since_event": 14.9}, "news_window"),
        ({"to_event": 600.0, "since_event": 0.0}, "news_window"),
    ],
)
def test_each_veto(changes: dict[str, Any], name: str) -> None:
    assert name in vetoes(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"volatility_percentile": 0.9899},
        {"model_age": 0.999},
        {"quality_hour": 0.95},
        {"quality_day": 0.99},
        {"quality_hour": None, "quality_day": None},
        {"taint": TaintFlag.REPAIRED},
        {"to_event": 15.0, "since_event": 15.0},
        {"to_event": NAN, "since_event": NAN},
    ],
)
def test_the_last_harmless_value_of_each(changes: dict[str, Any]) -> None:
    assert vetoes(**changes) == ()


def test_an_operator_sets_the_limits() -> None:
    strict = RiskRules(ceiling=0.1, quality_hour_floor=0.999, quality_day_floor=0.999)
    assert vetoes(strict, quality_hour=0.998) == ("risk_score", "data_quality")
    assert vetoes(RiskRules(quality_day_floor=0.5), quality_day=0.6) == ()
    assert vetoes(RiskRules(news_before=0, news_after=0), to_event=0.0, since_event=0.0) == ()
    assert vetoes(RiskRules(news_before=60, news_after=0), to_event=59.0, since_event=1.0) == ("news_window",)


@pytest.mark.parametrize("flag", [flag for flag in TaintFlag if flag is not TaintFlag.REPAIRED])
def test_every_taint_but_a_repair_taints(flag: TaintFlag) -> None:
    assert context(taint=flag).tainted
    assert context(taint=flag | TaintFlag.REPAIRED).tainted
    assert not context(taint=TaintFlag.REPAIRED).tainted


BAD: dict[str, dict[str, Any]] = {
    "extreme_volatility": {"volatility_percentile": 1.0},
    "tainted_data": {"taint": TaintFlag.SUSPECT},
    "model_age": {"model_age": 2.0},
    "data_quality": {"quality_day": 0.5},
    "news_window": {"since_event": 3.0},
}


@pytest.mark.parametrize("names", [pair for n in (2, 3, 4) for pair in combinations(BAD, n)])
def test_all_vetoes_are_recorded_not_only_the_first(names: tuple[str, ...]) -> None:
    found = vetoes(RiskRules(ceiling=1.0), **{key: value for name in names for key, value in BAD[name].items()})
    assert found == tuple(name for name in RISK_CHECKS if name in names)


@given(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(allow_nan=True, allow_infinity=True),
    st.none() | st.floats(0, 1),
    st.floats(0, 1e6),
)
def test_the_score_is_always_a_share(percentile: float, reach: float, quality: float | None, age: float) -> None:
    parts = risk.parts_of(
        context(volatility_percentile=percentile, range_atr=reach, quality_hour=quality, model_age=age)
    )
    assert all(0 <= part <= 1 for part in parts.values())
    assert 0 <= risk.score_of(parts) <= 1 + 1e-9
