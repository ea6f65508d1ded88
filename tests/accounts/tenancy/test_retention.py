"""Rows that need not be kept for ever go on their day, and docs/data.md says which."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session

from accounts.models import DataExport, Invitation, Role
from accounts.retention import KEPT, RULES
from accounts.scoping import acting_as, scope_to
from accounts.tasks import forget_old_rows
from lib.clock import wall_now
from tests.accounts.tenancy.acts import entries
from tests.people import Person

pytestmark = pytest.mark.django_db
DATA_PAGE = (Path(__file__).parents[3] / "docs" / "data.md").read_text()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.table)
def test_each_rule_names_a_date_of_a_table_and_is_documented(rule: object) -> None:
    table, date, days = (getattr(rule, name) for name in ("table", "date", "days"))
    assert apps.get_model(table)._meta.get_field(date)
    assert f"| `{table}` | {days} |" in DATA_PAGE


@pytest.mark.parametrize("table", [table for table, _why in KEPT])
def test_what_is_kept_is_documented(table: str) -> None:
    assert f"| `{table}` | for ever |" in DATA_PAGE


def invitation(owner: Person, days: int) -> int:
    with scope_to(owner.organization.pk):
        made = Invitation.objects.create(
            organization=owner.organization,
            email=f"{days}@desk.example",
            role=Role.MEMBER,
            token_hash=f"{days:064d}",
            expires_at=wall_now() - timedelta(days=days),
        )
    return made.pk


def test_only_what_is_over_its_days_goes(owner: Person) -> None:
    old, young = invitation(owner, 91), invitation(owner, 89)
    with acting_as(owner.user.pk):
        DataExport.objects.create(user=owner.user, expires_at=wall_now() - timedelta(days=91))
    Session.objects.update(expire_date=wall_now() - timedelta(minutes=1))
    done = forget_old_rows()
    assert done["accounts.Invitation"] == done["accounts.DataExport"] == 1
    assert done["sessions.Session"] >= 1
    with scope_to(owner.organization.pk):
        assert set(Invitation.objects.values_list("pk", flat=True)) == {young}
    assert old != young
    assert any(entry.actor == "task:retention" for entry in entries(action="operator.work"))


def test_a_second_run_finds_nothing(owner: Person) -> None:
    invitation(owner, 91)
    forget_old_rows()
    assert sum(forget_old_rows().values()) == 0
