"""The two walls between tenants.

Outer wall: managers that refuse a query outside a scope, so that a forgotten filter raises. Inner wall: PostgreSQL's
row-level security, so that even a wrong query returns nothing foreign. Both are entered together, by the context
managers here, and the inner one holds inside a transaction only: nothing of it outlives the transaction on a pooled
connection. docs/decisions/0002-two-walls.md says why there are two.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import connection, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor as Editor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django_scopes import get_scope, scope, scopes_disabled
from django_scopes.manager import DisabledQuerySet

ORGANIZATION, USER, KEY_PREFIX, OPERATOR = "app.organization", "app.user", "app.key_prefix", "app.operator"


Row = TypeVar("Row", bound=models.Model)


class RefusingQuerySet(DisabledQuerySet):  # type: ignore[misc]  # django-scopes has no types
    """What a query outside a scope gets: `ScopeError`, also from the methods that django-scopes leaves open."""

    exists = DisabledQuerySet.error
    exclude = DisabledQuerySet.error
    in_bulk = DisabledQuerySet.error
    bulk_update = DisabledQuerySet.error
    contains = DisabledQuerySet.error


class TenantManager(models.Manager[Row]):
    """Queries raise `ScopeError` outside a scope, and otherwise see the scope's organization only.

    Args:
        path: the lookup that leads from the model to its organization.
    """

    def __init__(self, path: str = "organization") -> None:
        super().__init__()
        self.path = path

    def get_queryset(self) -> models.QuerySet[Row]:
        """The organization's rows, all rows where scopes are switched off in plain sight, or a refusal."""
        scope = get_scope()
        if not scope.get("_enabled", True):
            return super().get_queryset()
        if "organization" not in scope:
            refusal: models.QuerySet[Row] = RefusingQuerySet(
                self.model, using=self._db, missing_scopes={"organization"}
            )
            return refusal
        return super().get_queryset().filter(**{self.path: scope["organization"]})


@contextmanager
def _setting(name: str, value: str) -> Iterator[None]:
    """Hold one transaction-local database setting, then put the outer value back.

    On an error the savepoint's rollback puts it back, because the transaction may take no more statements; the end of
    a transaction that began here does as well.
    """
    within = connection.in_atomic_block
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting(%s, true), set_config(%s, %s, true)", [name, name, value])
            before = cursor.fetchall()[0][0]
        yield
        if within:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config(%s, %s, true)", [name, before or ""])


@contextmanager
def scope_to(organization_id: int) -> Iterator[None]:
    """Enter one organization: both walls let its rows through and no others."""
    with _setting(ORGANIZATION, str(organization_id)), scope(organization=organization_id):
        yield


@contextmanager
def acting_as(user_id: int) -> Iterator[None]:
    """Let the database show what belongs to a person across organizations: memberships, and invitations to them."""
    with _setting(USER, str(user_id)):
        yield


@contextmanager
def presenting_key(prefix: str) -> Iterator[None]:
    """Let the database show the one API key with this prefix, whose secret is about to be checked."""
    with _setting(KEY_PREFIX, prefix), scopes_disabled():
        yield


@contextmanager
def unfenced() -> Iterator[None]:
    """Open both walls. Only `accounts.audit.operator_work` calls this, after it has written down who and why."""
    with _setting(OPERATOR, "on"), scopes_disabled():
        yield


class RowLevelSecurity(Operation):
    """The migration step that fences a tenant's table.

    Rows are read and written where their organization is `app.organization`, or under `app.operator`; without a
    setting there are none. FORCE makes the policies hold for the owner of the table too.

    Args:
        model: the model's name.
        organization: the column that holds the organization's id.
        also_user: a column with a user's id: that user (`app.user`) may read the row as well.
        also_email: a column with an address: its user may read the row as well.
        also_key_prefix: a column with an API key's prefix: whoever presents it (`app.key_prefix`) may read the row.
        also_read: any further condition in SQL under which a row may be read.
        also_insert: any further condition in SQL under which a row may be added.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(
        self,
        model: str,
        organization: str = "organization_id",
        *,
        also_user: str = "",
        also_email: str = "",
        also_key_prefix: str = "",
        also_read: str = "",
        also_insert: str = "",
    ) -> None:
        self.model = model
        self.organization = organization
        self.also_user = also_user
        self.also_email = also_email
        self.also_key_prefix = also_key_prefix
        self.also_read = also_read
        self.also_insert = also_insert

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Policies are no part of Django's model state."""

    def database_forwards(
        self, app_label: str, schema_editor: Editor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Fence the table."""
        table = _table(app_label, self.model, schema_editor, to_state)
        own = f"({self.organization} = {_number(ORGANIZATION)} OR {_text(OPERATOR)} = 'on')"
        schema_editor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        schema_editor.execute(f"CREATE POLICY candor_tenant ON {table} USING {own} WITH CHECK {own}")
        if read := self._reading():
            schema_editor.execute(f"CREATE POLICY candor_read ON {table} FOR SELECT USING ({read})")
        if self.also_insert:
            schema_editor.execute(f"CREATE POLICY candor_insert ON {table} FOR INSERT WITH CHECK ({self.also_insert})")

    def database_backwards(
        self, app_label: str, schema_editor: Editor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Take the fence away."""
        table = _table(app_label, self.model, schema_editor, from_state)
        for policy in ("candor_tenant", "candor_read", "candor_insert"):
            schema_editor.execute(f"DROP POLICY IF EXISTS {policy} ON {table}")
        schema_editor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")

    def describe(self) -> str:
        """The line `migrate` prints."""
        return f"Fence {self.model} by organization"

    def _reading(self) -> str:
        conditions = [self.also_read] if self.also_read else []
        if self.also_user:
            conditions.append(f"{self.also_user} = {_number(USER)}")
        if self.also_email:
            mine = f"(SELECT email FROM accounts_user WHERE id = {_number(USER)})"  # noqa: S608  # two constants
            conditions.append(f"{self.also_email} = {mine}")
        if self.also_key_prefix:
            conditions.append(f"{self.also_key_prefix} = {_text(KEY_PREFIX)}")
        return " OR ".join(conditions)


def _number(name: str) -> str:
    """SQL for a setting that holds an id; unset and empty are NULL, which equals nothing."""
    return f"{_text(name)}::bigint"


def _text(name: str) -> str:
    """SQL for a setting; in a subquery of its own it is read once per statement, not once per row."""
    return f"(SELECT nullif(current_setting('{name}', true), ''))"


def _table(app_label: str, model: str, schema_editor: Editor, state: ProjectState) -> str:
    found = state.apps.get_model(app_label, model)
    return str(schema_editor.quote_name(found._meta.db_table))
