"""Plans are data; a change of plan is told to everybody."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from accounts.checks import default_plan
from accounts.errors import PlanError
from accounts.events import plan_changed
from accounts.models import AuditEntry
from accounts.planning import change_plan
from accounts.plans import DESK, FREE, PLANS, PRO, plan_of
from accounts.scoping import scope_to
from tests.people import Person


def test_the_three_plans() -> None:
    assert list(PLANS) == ["free", "pro", "desk"]
    assert (FREE.delay_s, FREE.instruments, sorted(FREE.channels)) == (900, 3, ["email"])
    assert PRO.delay_s == DESK.delay_s == 0
    assert DESK.api
    assert DESK.webhooks


def test_a_dearer_plan_takes_nothing_away() -> None:
    for small, large in ((FREE, PRO), (PRO, DESK)):
        assert large.delay_s <= small.delay_s
        assert large.seats >= small.seats
        assert large.channels >= small.channels
        for name in ("instruments", "history_days"):
            limit = getattr(large, name)
            assert limit is None or limit >= getattr(small, name)


def test_an_unknown_plan_is_an_error() -> None:
    with pytest.raises(PlanError, match="use one of free, pro, desk"):
        plan_of("gold")


@pytest.fixture
def told() -> Iterator[list[dict[str, object]]]:
    found: list[dict[str, object]] = []

    def note(**facts: object) -> None:
        found.append({name: facts[name] for name in ("organization_id", "before", "after")})

    plan_changed.connect(note)
    yield found
    plan_changed.disconnect(note)


def test_a_change_is_stored_written_down_and_told(owner: Person, told: list[dict[str, object]]) -> None:
    with scope_to(owner.organization.pk):
        change_plan(owner.organization, "pro", by=owner.user)
        entry = AuditEntry.objects.get(action="plan.changed")
    assert owner.viewer.plan == PRO
    assert entry.details == {"before": "desk", "after": "pro"}
    assert told == [{"organization_id": owner.organization.pk, "before": "desk", "after": "pro"}]


def test_a_change_to_nothing_changes_nothing(owner: Person, told: list[dict[str, object]]) -> None:
    with scope_to(owner.organization.pk), pytest.raises(PlanError):
        change_plan(owner.organization, "gold", by=owner.user)
    assert (owner.viewer.plan, told) == (DESK, [])


def test_a_default_plan_that_does_not_exist_stops_the_start(settings: Settings) -> None:
    assert default_plan() == []
    settings.DEFAULT_PLAN = "gold"
    (error,) = default_plan()
    assert (error.id, error.hint) == ("candor.E010", "Use one of: free, pro, desk.")
