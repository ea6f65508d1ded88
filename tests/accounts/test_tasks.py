"""Tasks take ids, enter the tenant, start after commit and are measured."""

from collections.abc import Iterator

import pytest
from celery import shared_task
from celery.signals import before_task_publish
from django.db import transaction
from prometheus_client import REGISTRY

from accounts.models import Membership, User
from accounts.scoping import scope_to
from accounts.tasks import TenantTask
from tests.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "tests.count_members"


@shared_task(base=TenantTask, name=NAME)
def count_members(organization_id: int, *, fail: bool = False) -> list[int]:
    """Whom the task sees; asked to fail, it writes first."""
    if fail:
        User.objects.create_user("half@done.example")
        raise RuntimeError(organization_id)
    return [row.user_id for row in Membership.objects.all()]


@pytest.fixture
def sent() -> Iterator[list[tuple[int, ...]]]:
    """Arguments of what reached the broker."""
    found: list[tuple[int, ...]] = []

    def note(sender: str, body: tuple[tuple[int, ...], object, object], **_: object) -> None:
        if sender == NAME:
            found.append(tuple(body[0]))

    before_task_publish.connect(note)
    yield found
    before_task_publish.disconnect(note)


def measured(outcome: str) -> float:
    labels = {"task": NAME, "outcome": outcome}
    return REGISTRY.get_sample_value("candor_tenant_task_seconds_count", labels) or 0.0


def test_a_task_is_inside_its_tenant(owner: Person, stranger: Person) -> None:
    before = measured("done")
    assert count_members(owner.organization.pk) == [owner.user.pk]
    assert count_members.apply((stranger.organization.pk,)).result == [stranger.user.pk]
    assert measured("done") == before + 2


def test_a_failed_task_changes_nothing_and_is_counted(owner: Person) -> None:
    before = measured("failed")
    with pytest.raises(RuntimeError):
        count_members(owner.organization.pk, fail=True)
    assert not User.objects.filter(email="half@done.example").exists()
    assert measured("failed") == before + 1


def test_it_starts_after_commit(owner: Person, sent: list[tuple[int, ...]]) -> None:
    with transaction.atomic(), scope_to(owner.organization.pk):
        count_members.enqueue(owner.organization.pk)
        assert sent == []
    assert sent == [(owner.organization.pk,)]


def test_it_does_not_start_after_a_rollback(owner: Person, sent: list[tuple[int, ...]]) -> None:
    with transaction.atomic():
        count_members.enqueue(owner.organization.pk)
        transaction.set_rollback(True)
    assert sent == []
