"""Nothing of one tenant reaches another, and every address, task and group is known to the walk that shows it."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection, transaction
from django.db.models import Model
from django.test import override_settings

from accounts import scoping
from accounts.audit import operator_work
from accounts.scoping import scope_to
from accounts.tasks import TenantTask
from config.asgi import application
from config.celery import app as celery
from tests.billing.shop import Shop
from tests.isolation.inventory import owner_path, routes, tasks, tenant_models
from tests.isolation.rules import SOCKETS, TASKS, TENANT_TASKS
from tests.isolation.walk import Walk, unlisted
from tests.isolation.world import Side, make_side, nowhere, snapshot

pytestmark = pytest.mark.django_db


@pytest.fixture
def ours(db: None) -> Side:
    return make_side("aurora")


@pytest.fixture
def theirs(db: None) -> Side:
    return make_side("borealis")


def test_every_address_is_known_to_the_walk() -> None:
    assert unlisted(route.name for route in routes()) == [], "enter it into tests/isolation/rules.py"


def test_every_task_is_a_tenants_or_excused() -> None:
    ours = {name for name in tasks() if not isinstance(celery.tasks[name], TenantTask)}
    assert sorted(ours - set(TASKS)) == [], "make it a TenantTask, or say in TASKS why it belongs to no tenant"
    assert sorted(set(tasks()) - ours - set(TENANT_TASKS)) == [], "enter its arguments into TENANT_TASKS"


def test_every_socket_is_known() -> None:
    validator: Any = application.application_mapping["websocket"]
    assert {str(route.pattern) for route in validator.application.routes} == set(SOCKETS)


@contextmanager
def code_alone() -> Iterator[None]:
    """The inner wall taken away: PostgreSQL shows everything, so a forgotten filter shows."""
    with connection.cursor() as cursor:
        cursor.execute("SET app.operator = 'on'")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET app.operator")


@contextmanager
def database_alone() -> Iterator[None]:
    """The outer wall taken away: no query is filtered or refused, so a missing policy shows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoping, "get_scope", lambda: {"_enabled": False})
        yield


def owners_seen(model: type[Model]) -> set[int]:
    """Whose rows a query without any filter brings."""
    manager = model._meta.default_manager
    assert manager is not None
    return set(manager.values_list(owner_path(model), flat=True))


@pytest.mark.parametrize("model", tenant_models(), ids=lambda model: model._meta.label)
def test_each_wall_stands_alone(model: type[Model], ours: Side, theirs: Side) -> None:
    with operator_work("test", "both sides have a row"):
        assert {ours.organization.pk, theirs.organization.pk} <= owners_seen(model), "give both sides one, in world.py"
    with scope_to(ours.organization.pk):
        with code_alone():
            assert owners_seen(model) == {ours.organization.pk}, "its manager is no TenantManager"
        with database_alone():
            assert owners_seen(model) == {ours.organization.pk}, "its migration has no RowLevelSecurity"
    with database_alone():
        assert owners_seen(model) == set(), "rows are seen without a tenant"


@pytest.mark.parametrize("name", TENANT_TASKS)
def test_a_task_finds_nothing_of_another_tenant(name: str, ours: Side, theirs: Side) -> None:
    before = snapshot()
    with suppress(ObjectDoesNotExist), transaction.atomic():
        celery.tasks[name](ours.organization.pk, *TENANT_TASKS[name](theirs).values())
    assert snapshot() == before


Walls = Callable[[], AbstractContextManager[None]]
WALLS: dict[str, Walls] = {"both walls": nullcontext, "code alone": code_alone, "database alone": database_alone}


@pytest.mark.parametrize("walls", WALLS)
def test_nothing_of_another_tenant_is_reached(walls: str, ours: Side, theirs: Side, shop: Shop) -> None:
    with override_settings(ACCOUNT_RATE_LIMITS=False), WALLS[walls]():
        report = Walk(ours, theirs, nowhere(theirs)).run(with_console=walls == "both walls")
    folder = Path(settings.VAR_DIR) / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"isolation-{walls.replace(' ', '-')}.json").write_text(json.dumps(report.as_json(), indent=1))
    assert report.findings == []
