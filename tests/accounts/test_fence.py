"""The migration step that fences a table: the SQL it writes, word by word. What the fence does is in test_scoping."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.state import ProjectState
from django_scopes import ScopeError, scope, scopes_disabled

from accounts.models import Membership
from accounts.scoping import RowLevelSecurity, TenantManager

pytestmark = pytest.mark.django_db
OWN = (
    "({} = (SELECT nullif(current_setting('app.organization', true), ''))::bigint"
    " OR (SELECT nullif(current_setting('app.operator', true), '')) = 'on')"
)
USER = "(SELECT nullif(current_setting('app.user', true), ''))::bigint"
EMAIL = f"(SELECT email FROM accounts_user WHERE id = {USER})"  # a constant
KEY = "(SELECT nullif(current_setting('app.key_prefix', true), ''))"


@pytest.fixture
def state() -> ProjectState:
    return ProjectState.from_apps(apps)


def written(step: Callable[..., None], before: ProjectState, after: ProjectState) -> list[str]:
    """The statements of one direction, without running them."""
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        step("accounts", editor, before, after)
        return [str(line).removesuffix(";") for line in editor.collected_sql]


def forwards(fence: RowLevelSecurity, state: ProjectState) -> list[str]:
    """With an empty state before: the table is looked up in the state that the step leads to."""
    return written(fence.database_forwards, ProjectState(), state)


def test_the_plain_fence(state: ProjectState) -> None:
    own = OWN.format("organization_id")
    assert forwards(RowLevelSecurity("Membership"), state) == [
        'ALTER TABLE "accounts_membership" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
        f'CREATE POLICY candor_tenant ON "accounts_membership" USING {own} WITH CHECK {own}',
    ]


def test_the_column_may_have_another_name(state: ProjectState) -> None:
    own = OWN.format("id")
    assert forwards(RowLevelSecurity("Organization", "id"), state)[1:] == [
        f'CREATE POLICY candor_tenant ON "accounts_organization" USING {own} WITH CHECK {own}'
    ]


@pytest.mark.parametrize(
    ("options", "condition"),
    [
        ({"also_read": "true"}, "true"),
        ({"also_user": "user_id"}, f"user_id = {USER}"),
        ({"also_email": "email"}, f"email = {EMAIL}"),
        ({"also_key_prefix": "prefix"}, f"prefix = {KEY}"),
        (
            {"also_read": "a", "also_user": "b", "also_email": "c", "also_key_prefix": "d"},
            f"a OR b = {USER} OR c = {EMAIL} OR d = {KEY}",
        ),
    ],
)
def test_who_else_may_read(state: ProjectState, options: dict[str, Any], condition: str) -> None:
    statements = forwards(RowLevelSecurity("Membership", **options), state)
    assert statements[2:] == [f'CREATE POLICY candor_read ON "accounts_membership" FOR SELECT USING ({condition})']


def test_who_else_may_add(state: ProjectState) -> None:
    assert forwards(RowLevelSecurity("Membership", also_insert="x > 1"), state)[2:] == [
        'CREATE POLICY candor_insert ON "accounts_membership" FOR INSERT WITH CHECK (x > 1)'
    ]


def test_the_fence_can_be_taken_away(state: ProjectState) -> None:
    table = '"accounts_membership"'
    assert written(RowLevelSecurity("Membership").database_backwards, state, ProjectState()) == [
        f"DROP POLICY IF EXISTS candor_tenant ON {table}",
        f"DROP POLICY IF EXISTS candor_read ON {table}",
        f"DROP POLICY IF EXISTS candor_insert ON {table}",
        f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY",
    ]


def test_the_step_is_reversible_described_and_no_part_of_the_state(state: ProjectState) -> None:
    fence = RowLevelSecurity("Membership")
    assert (fence.reversible, fence.reduces_to_sql) == (True, True)
    assert fence.describe() == "Fence Membership by organization"
    before = dict(state.models)
    fence.state_forwards("accounts", state)
    assert state.models == before


def test_the_outer_wall_follows_its_path() -> None:
    manager: TenantManager[Membership] = TenantManager("user__memberships__organization")
    manager.model = Membership
    assert TenantManager().path == "organization"
    with scope(organization=7):
        query = str(manager.get_queryset().query)
        assert '"organization_id" = 7' in query
        assert query.count("accounts_membership") > 2, "through the user to the user's memberships"
    refusal = manager.db_manager("default").get_queryset()
    assert refusal.model is Membership
    assert vars(refusal)["_db"] == "default"
    with pytest.raises(ScopeError, match=r"\borganization\b"):
        refusal.count()
    with scopes_disabled():
        assert "WHERE" not in str(manager.get_queryset().query)
