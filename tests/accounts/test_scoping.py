"""Both walls, tried on every table that has an organization (security rows S1, S2)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import ProgrammingError, connection, transaction
from django_scopes import ScopeError
from psycopg import sql
from psycopg.types.json import Jsonb

from accounts.audit import operator_work, record
from accounts.models import (
    ApiKey,
    AuditEntry,
    DataExport,
    Invitation,
    Membership,
    Organization,
    Role,
    TenantSecret,
)
from accounts.scoping import acting_as, presenting_key, scope_to
from lib.clock import wall_now
from tests.factories import join, make_organization, make_user
from tests.people import Person

Raw = psycopg.Connection[tuple[Any, ...]]

TENANT_TABLES = """
SELECT c.relname, a.attname FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
JOIN information_schema.columns i ON i.table_schema = 'public' AND i.table_name = c.relname
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = i.column_name
WHERE c.relkind IN ('r', 'p') AND has_table_privilege('candor_app', c.oid, 'SELECT')
AND (i.column_name = 'organization_id' OR (c.relname, i.column_name) = ('accounts_organization', 'id'))
ORDER BY 1
"""


def tenant_tables(owner_connection: Raw) -> list[tuple[str, str]]:
    """(table, column with the organization's id) of every table that the application can read, partitions included."""
    return [(table, column) for table, column in owner_connection.execute(TENANT_TABLES).fetchall()]


def fill(organization: Organization, member: Person) -> None:
    """At least one row of every tenant table of `accounts`."""
    with scope_to(organization.pk), acting_as(member.user.pk):
        Invitation.objects.create(
            organization=organization, email="invited@desk.example", token_hash="a" * 64, expires_at=wall_now()
        )
        ApiKey.objects.create(organization=organization, name="bot", prefix="ck_12345678", secret_sha256="b" * 64)
        DataExport.objects.create(organization=organization, user=member.user, expires_at=wall_now())
        TenantSecret.objects.create(organization=organization, kind="exchange", name="kraken", sealed="v1.x.y")
        record("test.filled", user=member.user, organization_id=organization.pk)


@pytest.fixture
def two_tenants(transactional_db: None, owner: Person, stranger: Person) -> tuple[Organization, Organization]:
    """Two organizations with rows in every tenant table."""
    fill(owner.organization, owner)
    return owner.organization, stranger.organization


@contextmanager
def entered(raw: Raw, **settings: object) -> Iterator[None]:
    """A transaction of a raw connection with some of the walls' settings, rolled back at the end."""
    with raw.transaction(force_rollback=True):
        for name, value in settings.items():
            raw.execute("SELECT set_config(%s, %s, true)", [f"app.{name}", str(value)])
        yield


def count(raw: Raw, table: str) -> int:
    row = raw.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


def test_every_tenant_table_is_fenced(owner_connection: Raw) -> None:
    """A new table with an organization column and without the migration step fails here."""
    tables = tenant_tables(owner_connection)
    assert {"accounts_organization", "accounts_membership", "accounts_apikey"} <= {table for table, _ in tables}
    for table, _column in tables:
        facts = owner_connection.execute(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", [table]
        ).fetchone()
        assert facts == (True, True), f"{table}: add RowLevelSecurity to its migration"
        assert owner_connection.execute(
            "SELECT 1 FROM pg_policies WHERE tablename = %s AND policyname = 'candor_tenant'", [table]
        ).fetchone(), f"{table}: no policy"


@pytest.mark.parametrize(
    "settings", [{}, {"organization": "", "user": "", "key_prefix": "", "operator": ""}, {"operator": "off"}]
)
def test_without_settings_there_is_nothing(
    two_tenants: tuple[Organization, Organization], owner_connection: Raw, app_connection: Raw, settings: dict[str, str]
) -> None:
    for raw in (app_connection, owner_connection):  # FORCE: not even the owner sees more
        for table, _column in tenant_tables(owner_connection):
            with entered(raw, **settings):
                assert count(raw, table) == 0, table
    for table, _column in tenant_tables(owner_connection):
        with entered(app_connection, operator="on"):
            assert count(app_connection, table) > 0 or not table.startswith("accounts_"), f"{table}: the test is empty"


def test_another_tenant_cannot_touch_a_row(
    two_tenants: tuple[Organization, Organization], owner_connection: Raw, app_connection: Raw
) -> None:
    mine, theirs = two_tenants
    for table, column in tenant_tables(owner_connection):
        name, organization = sql.Identifier(table), sql.Identifier(column)
        same = sql.SQL("UPDATE {} SET {} = {} WHERE {} = %s").format(name, organization, organization, organization)
        for statement in (same, sql.SQL("DELETE FROM {} WHERE {} = %s").format(name, organization)):
            with entered(app_connection, organization=theirs.pk):
                try:
                    assert app_connection.execute(statement, [mine.pk]).rowcount == 0, table
                except psycopg.errors.InsufficientPrivilege:
                    assert table == "accounts_auditentry"  # append-only for everybody


def test_a_row_cannot_be_put_into_another_tenant(
    two_tenants: tuple[Organization, Organization], owner_connection: Raw, app_connection: Raw
) -> None:
    """Copies of one's own rows with the other's id are refused by the policy, before any other constraint."""
    mine, theirs = two_tenants
    for table, column in tenant_tables(owner_connection):
        with entered(app_connection, operator="on"):
            copied = app_connection.execute(
                sql.SQL("SELECT to_jsonb(t) || jsonb_build_object({}, %s::bigint) FROM {} t LIMIT 1").format(
                    sql.Literal(column), sql.Identifier(table)
                ),
                [mine.pk],
            ).fetchone()
        if copied is None:
            assert not table.startswith("accounts_"), f"{table}: the test is empty"
            continue
        insert = sql.SQL("INSERT INTO {} SELECT * FROM jsonb_populate_record(NULL::{}, %s)").format(
            sql.Identifier(table), sql.Identifier(table)
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):  # noqa: SIM117
            with entered(app_connection, organization=theirs.pk, user=1, key_prefix="ck_12345678"):
                app_connection.execute(insert, [Jsonb(copied[0])])


def test_a_row_cannot_be_moved_to_another_tenant(
    two_tenants: tuple[Organization, Organization], app_connection: Raw
) -> None:
    mine, theirs = two_tenants
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):  # noqa: SIM117
        with entered(app_connection, organization=mine.pk):
            app_connection.execute("UPDATE accounts_apikey SET organization_id = %s", [theirs.pk])


def test_a_user_sees_their_memberships_and_writes_none(
    two_tenants: tuple[Organization, Organization], owner: Person, app_connection: Raw
) -> None:
    mine, theirs = two_tenants
    with entered(app_connection, user=owner.user.pk):
        assert app_connection.execute("SELECT organization_id FROM accounts_membership").fetchall() == [(mine.pk,)]
        assert app_connection.execute("SELECT id FROM accounts_organization").fetchall() == [(mine.pk,)]
        assert count(app_connection, "accounts_apikey") == count(app_connection, "accounts_auditentry") == 0
        assert app_connection.execute("UPDATE accounts_membership SET role = 'owner'").rowcount == 0
        assert app_connection.execute("DELETE FROM accounts_membership").rowcount == 0
    insert = (
        "INSERT INTO accounts_membership (organization_id, user_id, role, created_at) VALUES (%s, %s, 'owner', now())"
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):  # noqa: SIM117
        with entered(app_connection, user=owner.user.pk):
            app_connection.execute(insert, [theirs.pk, owner.user.pk])


def test_an_invitation_is_seen_by_the_address_it_was_sent_to(
    two_tenants: tuple[Organization, Organization], stranger: Person, app_connection: Raw
) -> None:
    invited = make_user("invited@desk.example")
    for user, seen in ((invited, 1), (stranger.user, 0)):
        with entered(app_connection, user=user.pk):
            assert count(app_connection, "accounts_invitation") == seen
            assert app_connection.execute("UPDATE accounts_invitation SET role = 'owner'").rowcount == 0


def test_a_key_is_seen_by_its_prefix_only(two_tenants: tuple[Organization, Organization], app_connection: Raw) -> None:
    for prefix, seen in (("ck_12345678", 1), ("ck_1234567", 0), ("%", 0)):
        with entered(app_connection, key_prefix=prefix):
            assert count(app_connection, "accounts_apikey") == seen
            assert app_connection.execute("UPDATE accounts_apikey SET name = 'x'").rowcount == 0
    with presenting_key("ck_12345678"):
        assert [key.name for key in ApiKey.objects.all()] == ["bot"]


def test_audit_rows_of_no_organization_are_for_operators(
    two_tenants: tuple[Organization, Organization], owner: Person, app_connection: Raw
) -> None:
    free_rows = "SELECT count(*) FROM accounts_auditentry WHERE organization_id IS NULL"
    mine, _theirs = two_tenants
    for settings, some in (({"user": owner.user.pk, "organization": mine.pk}, False), ({"operator": "on"}, True)):
        with entered(app_connection, **settings):
            row = app_connection.execute(free_rows).fetchone()
            assert row is not None
            assert (row[0] > 0) is some
    insert = (
        "INSERT INTO accounts_auditentry (id, at, actor, action, details, user_id)"
        " VALUES (gen_random_uuid(), now(), 'x', 'x', '{}', %s)"
    )
    with entered(app_connection, user=owner.user.pk):
        app_connection.execute(insert, [owner.user.pk])
    for user in (None, owner.user.pk + 1):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):  # noqa: SIM117
            with entered(app_connection, user=owner.user.pk):
                app_connection.execute(insert, [user])


# ---- the outer wall, and the doors through both


@pytest.mark.parametrize("model", [Organization, Membership, Invitation, ApiKey, AuditEntry])
@pytest.mark.parametrize("read", ["exists", "count", "first", "all", "exclude", "in_bulk", "values"])
def test_a_query_outside_a_scope_raises(model: type[Membership], read: str) -> None:
    with pytest.raises(ScopeError):
        list(getattr(model.objects, read)())


def test_a_scope_shows_one_organization(owner: Person, stranger: Person) -> None:
    with scope_to(owner.organization.pk):
        assert list(Organization.objects.all()) == [owner.organization]
        assert {row.user_id for row in Membership.objects.all()} == {owner.user.pk}
    with scope_to(stranger.organization.pk):
        assert {row.user_id for row in Membership.objects.all()} == {stranger.user.pk}


def test_the_inner_wall_holds_where_the_outer_one_is_open(owner: Person, stranger: Person) -> None:
    from django_scopes import scopes_disabled

    with scope_to(stranger.organization.pk), scopes_disabled():
        assert {row.organization_id for row in Membership.objects.all()} == {stranger.organization.pk}
    with scopes_disabled():
        assert not Membership.objects.exists()


def setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_setting(%s, true), '')", [f"app.{name}"])
        return str(cursor.fetchall()[0][0])


def test_doors_close_behind_one(db: None, owner: Person, stranger: Person) -> None:
    with scope_to(owner.organization.pk):
        with scope_to(stranger.organization.pk), acting_as(stranger.user.pk):
            assert (setting("organization"), setting("user")) == (str(stranger.organization.pk), str(stranger.user.pk))
        assert (setting("organization"), setting("user")) == (str(owner.organization.pk), "")
    assert setting("organization") == ""


def test_doors_close_on_errors_too(db: None, owner: Person, stranger: Person) -> None:
    with scope_to(owner.organization.pk):
        with pytest.raises(ProgrammingError), scope_to(stranger.organization.pk), connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM accounts_user")
        assert setting("organization") == str(owner.organization.pk)
        assert Membership.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_nothing_outlives_the_transaction(owner: Person) -> None:
    with pytest.raises(RuntimeError), transaction.atomic(), scope_to(owner.organization.pk):
        raise RuntimeError
    assert setting("organization") == ""


def test_operator_work_opens_both_walls_and_is_written_down(owner: Person, stranger: Person, operator: Person) -> None:
    with operator_work(operator.user, "count members"):
        assert Membership.objects.count() == 2
        entry = AuditEntry.objects.filter(action="operator.work").latest("at")
        assert (entry.user_id, entry.actor) == (operator.user.pk, f"user:{operator.user.pk}")
        assert entry.details == {"reason": "count members"}
    with pytest.raises(ScopeError):
        Membership.objects.count()
    assert setting("operator") == ""


def test_the_audit_log_takes_no_second_thought(owner: Person) -> None:
    with scope_to(owner.organization.pk):
        entry = AuditEntry.objects.first()
        assert entry is not None
        for change in (entry.save, entry.delete):
            with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                change()


def test_a_member_of_two_organizations_is_in_one_at_a_time(owner: Person, stranger: Person) -> None:
    join(stranger.organization, owner.user, Role.READONLY)
    make_organization(owner.user, "Third")
    with scope_to(stranger.organization.pk), acting_as(owner.user.pk):
        assert {row.organization_id for row in Membership.objects.all()} == {stranger.organization.pk}


def test_an_unfenced_table_is_found(owner_connection: Raw) -> None:
    """The proof that the first test of this file can fail."""
    owner_connection.execute("CREATE TABLE unfenced (organization_id bigint)")
    try:
        with pytest.raises(AssertionError, match="unfenced"):
            test_every_tenant_table_is_fenced(owner_connection)
    finally:
        owner_connection.execute("DROP TABLE unfenced")
