"""Each limit at its edge, in the one place that knows it."""

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.limits import (
    UPGRADE_URL,
    Feature,
    Limit,
    PlanLimit,
    allowance,
    allowed,
    check,
    has,
    history_reach,
    included,
    require,
)
from accounts.plans import DESK, FREE, PLANS, PRO, Plan
from lib.ratelimit import store

COUNTED = [(plan, limit) for plan in PLANS.values() for limit in Limit]


@pytest.mark.parametrize(("plan", "limit"), COUNTED)
def test_the_last_one_passes_and_the_next_does_not(plan: Plan, limit: Limit) -> None:
    most = allowed(plan, limit)
    if most is None:
        check(plan, limit, 10**9)
        return
    check(plan, limit, most - 1)
    check(plan, limit, 0, adding=most)
    for used, adding in ((most, 1), (0, most + 1)):
        with pytest.raises(PlanLimit) as refused:
            check(plan, limit, used, adding)
        assert (refused.value.limit, refused.value.plan, refused.value.allowed) == (limit, plan, most)
        assert refused.value.permanent


@pytest.mark.parametrize("plan", PLANS.values())
@pytest.mark.parametrize("feature", Feature)
def test_a_feature_is_in_a_plan_or_refused(plan: Plan, feature: Feature) -> None:
    if has(plan, feature):
        require(plan, feature)
        return
    with pytest.raises(PlanLimit, match=f"The {plan.title} plan does not include"):
        require(plan, feature)


def test_the_error_names_what_how_many_and_the_way_out(settings: Settings) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_x"
    with pytest.raises(PlanLimit) as refused:
        check(FREE, Limit.INSTRUMENTS, 3)
    assert str(refused.value) == (
        f"All 3 instruments of the Free plan are taken. Remove one first, or take the Pro plan: {UPGRADE_URL}"
    )
    settings.STRIPE_SECRET_KEY = ""
    with pytest.raises(PlanLimit, match="ask the operator of this installation for the Desk plan"):
        check(PRO, Limit.SEATS, 5)
    with pytest.raises(PlanLimit, match="no plan has more"):
        check(DESK, Limit.SEATS, 50)


def test_pages_tell_before_it_bites() -> None:
    free, near, full = (allowance(PRO, Limit.SEATS, used) for used in (2, 4, 5))
    assert [(line.text, line.state) for line in (free, near, full)] == [
        ("2 of 5", "free"),
        ("4 of 5", "near"),
        ("5 of 5", "full"),
    ]
    endless = allowance(DESK, Limit.INSTRUMENTS, 400)
    assert (endless.text, endless.state, endless.title) == ("400, without limit", "free", "instruments")


def test_what_is_beyond_a_plan_is_hidden_not_lost() -> None:
    assert included(allowed(FREE, Limit.INSTRUMENTS), (9, 8, 7, 6)) == (9, 8, 7)
    assert included(allowed(DESK, Limit.INSTRUMENTS), (9, 8, 7, 6)) == (9, 8, 7, 6)
    assert history_reach(DESK) is None
    assert (history_reach(FREE) or history_reach(PRO)) is not None


@pytest.mark.django_db
def test_rest_calls_are_counted_told_and_refused() -> None:
    store("").__init__()  # type: ignore[misc]  # other tests of this process have called as well
    visitor = Client()
    first = visitor.get("/api/v1/me")
    assert (first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == ("60", "59")
    assert "Retry-After" not in first.headers
    answers = [visitor.get("/api/v1/me") for _ in range(FREE.api_minute + 5)]
    refused = answers[-1]
    assert refused.status_code == 429
    assert (refused.headers["RateLimit-Remaining"], refused.headers["Retry-After"]) == ("0", "1")
    assert refused.json()["detail"].startswith("Request was throttled")
    assert visitor.get("/api/v1/health/").status_code == 200
    other = Client(REMOTE_ADDR="192.0.2.9").get("/api/v1/me")
    assert other.status_code == 200
