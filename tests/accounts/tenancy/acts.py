"""What tests of this folder do again and again."""

from datetime import UTC, datetime

from django.test import Client

from accounts.audit import operator_work
from accounts.models import AuditEntry, Membership
from accounts.scoping import scope_to
from tests.factories import PASSWORD
from tests.people import Person


def prove(person: Person, password: str = PASSWORD) -> Client:
    """The person's browser, with the password given again a moment ago."""
    person.client.post("/accounts/reauthenticate/", {"password": password})
    return person.client


def place_of(person: Person) -> Membership:
    """The person's membership in the organization of the test."""
    with scope_to(person.organization.pk):
        return Membership.objects.get(user=person.user)


def entries(**wanted: object) -> list[AuditEntry]:
    """Audit rows of all tenants, oldest first."""
    with operator_work("test", "read the log"):
        return list(AuditEntry.objects.filter(**wanted).select_related("user").order_by("at"))


def instant(text: str) -> datetime:
    """An ISO date as the start of that day, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
