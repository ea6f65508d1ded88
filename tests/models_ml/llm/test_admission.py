"""Who may be asked: limits hold for every standing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml.voters.llm.admission import BREAK_AFTER, REST_S, WINDOW_S, Limits, Need, Standing, admit
from models_ml.votes import AbstainReason as Why

NOW = 1_000_000.0
FREE = Limits(60, 0.0, 10**9)
NEED = Need(1_000, 0.01)

needs = st.lists(st.builds(Need, st.integers(1, 5_000), st.none() | st.floats(0, 1)), max_size=80)
standings = st.builds(
    Standing,
    recent=st.lists(st.floats(NOW - 60, NOW + 1), max_size=90).map(tuple),
    tokens=st.integers(0, 10_000),
    cost=st.floats(0, 10),
    failures=st.integers(0, BREAK_AFTER),
    failed_at=st.floats(NOW - 100, NOW),
    probing=st.booleans(),
    retry_at=st.floats(NOW - 50, NOW + 50),
)
allowed = st.builds(Limits, st.integers(0, 70), st.just(0.0) | st.floats(0.01, 12), st.integers(0, 12_000))


@given(needs, standings, allowed, st.just(0.0) | st.floats(0, 70))
def test_no_limit_is_ever_passed(wished: list[Need], standing: Standing, limits: Limits, patience_s: float) -> None:
    answers = admit(wished, standing, limits, NOW, patience_s)
    times = [at for at in answers if not isinstance(at, Why)]
    made = [need for need, at in zip(wished, answers, strict=True) if not isinstance(at, Why)]
    if made:
        assert limits.capped
        assert standing.retry_at <= NOW
        assert times == sorted(times)
        assert NOW <= times[0] <= times[-1] <= NOW + patience_s
    everything = [*standing.recent, *times]
    for at in times:
        assert sum(at - WINDOW_S < other <= at for other in everything) <= limits.per_minute
    if limits.daily_tokens and made:
        assert standing.tokens + sum(need.tokens for need in made) <= limits.daily_tokens
    if limits.daily_cost and made:
        assert all(need.cost is not None for need in made)
        assert standing.cost + sum(need.cost or 0 for need in made) <= limits.daily_cost + 1e-9
    if standing.failures >= BREAK_AFTER:
        assert len(made) <= 1


@pytest.mark.parametrize(
    ("standing", "limits", "answers"),
    [
        (Standing(), FREE, [None, None, None]),
        (Standing(recent=(NOW,) * 59), FREE, [None, Why.RATE_LIMITED, Why.RATE_LIMITED]),
        (Standing(recent=(NOW - 1,) * 75), FREE, [Why.RATE_LIMITED] * 3),
        (Standing(retry_at=NOW + 1), FREE, [Why.RATE_LIMITED] * 3),
        (Standing(retry_at=NOW), FREE, [None] * 3),
        (Standing(), Limits(60, 0.0, 0), [Why.OVER_BUDGET] * 3),
        (Standing(tokens=8_500), Limits(60, 0.0, 10_000), [None, Why.OVER_BUDGET, Why.OVER_BUDGET]),
        (Standing(cost=0.98), Limits(60, 1.0, 0), [None, None, Why.OVER_BUDGET]),
        (Standing(failures=4, failed_at=NOW), FREE, [None] * 3),
        (Standing(failures=5, failed_at=NOW - REST_S + 1), FREE, [Why.RESTING] * 3),
        (Standing(failures=5, failed_at=NOW - REST_S), FREE, [None, Why.RESTING, Why.RESTING]),
        (Standing(failures=5, failed_at=NOW - REST_S, probing=True), FREE, [Why.RESTING] * 3),
    ],
)
def test_the_rules_one_by_one(standing: Standing, limits: Limits, answers: list[Why | None]) -> None:
    assert admit([NEED] * 3, standing, limits, NOW) == [NOW if why is None else why for why in answers]


def test_a_minute_that_comes_early_waits_for_its_place() -> None:
    """Fifty instruments a minute fit sixty calls, also where a minute starts a little earlier than the last one did."""
    standing = Standing(recent=(NOW - 59.9,) * 50)
    assert admit([NEED] * 50, standing, FREE, NOW, 1.0) == [NOW] * 10 + [pytest.approx(NOW + 0.1)] * 40
    assert admit([NEED] * 50, standing, FREE, NOW, 0.05)[10:] == [Why.RATE_LIMITED] * 40


def test_a_cap_in_money_admits_nothing_without_a_price() -> None:
    assert admit([Need(1, None)], Standing(), Limits(60, 5.0, 0), NOW) == [Why.OVER_BUDGET]
