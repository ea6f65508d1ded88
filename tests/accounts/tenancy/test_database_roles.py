"""The database's roles do what they are for and nothing else (security row S36)."""

from typing import Any

import psycopg
import pytest
from psycopg import sql

from config.embedded import APP, OWNER

Raw = psycopg.Connection[tuple[Any, ...]]
Denied = psycopg.errors.InsufficientPrivilege
FOR_EVER = (
    "signals_round",
    "signals_signal",
    "signals_outcome",
    "accounts_auditentry",
    "accounts_acceptance",
    "markets_candlerevision",
)
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1"


def tables(raw: Raw) -> list[str]:
    return [name for (name,) in raw.execute(TABLES).fetchall()]


def refused(raw: Raw, statement: sql.SQL | sql.Composed) -> bool:
    """Whether the role may not do it; nothing stays done."""
    try:
        with raw.transaction(force_rollback=True):
            raw.execute(statement)
    except Denied:
        return True
    return False


@pytest.mark.django_db(transaction=True)
class TestApplication:
    """The role that web, workers and tests run as."""

    def test_it_is_nobody_special(self, app_connection: Raw) -> None:
        row = app_connection.execute(
            "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolreplication FROM pg_roles"
            " WHERE rolname = current_user"
        ).fetchone()
        assert row == (APP, False, False, False, False, False)

    def test_it_owns_nothing(self, app_connection: Raw) -> None:
        owned = app_connection.execute(
            "SELECT relname FROM pg_class WHERE relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)"
        ).fetchall()
        functions = app_connection.execute(
            "SELECT proname FROM pg_proc WHERE proowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)"
        ).fetchall()
        assert owned == functions == []

    def test_it_cannot_become_the_owner(self, app_connection: Raw) -> None:
        assert refused(app_connection, sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))

    @pytest.mark.parametrize(
        "statement",
        [
            "DROP TABLE {}",
            "ALTER TABLE {} ADD COLUMN more text",
            "ALTER TABLE {} DISABLE ROW LEVEL SECURITY",
            "TRUNCATE {}",
            "CREATE INDEX ON {} ((1))",
            "ALTER TABLE {} DISABLE TRIGGER ALL",
        ],
    )
    def test_it_cannot_change_any_table(self, app_connection: Raw, statement: str) -> None:
        names = tables(app_connection)
        assert len(names) > 25
        for name in names:
            assert refused(app_connection, sql.SQL(statement).format(sql.Identifier(name))), name

    @pytest.mark.parametrize("statement", ["CREATE TABLE more (id int)", "CREATE FUNCTION f() RETURNS int RETURN 1"])
    def test_it_cannot_make_anything(self, app_connection: Raw, statement: str) -> None:
        assert refused(app_connection, sql.SQL(statement))

    @pytest.mark.parametrize("table", FOR_EVER)
    def test_what_is_for_ever_is_neither_changed_nor_deleted(self, app_connection: Raw, table: str) -> None:
        columns = [
            name
            for (name,) in app_connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s", [table]
            ).fetchall()
        ]
        erasable = {"accounts_auditentry": {"ip", "personal", "salt"}, "accounts_acceptance": {"ip"}}.get(table, set())
        assert len(columns) > 3
        name = sql.Identifier(table)
        assert refused(app_connection, sql.SQL("DELETE FROM {}").format(name))
        for column in columns:
            change = sql.SQL("UPDATE {} SET {column} = {column}").format(name, column=sql.Identifier(column))
            assert refused(app_connection, change) is (column not in erasable), column


@pytest.mark.django_db(transaction=True)
class TestOwner:
    """The role that migrates: it owns the tables, and even so it does not see past the fence."""

    def test_it_is_no_superuser(self, owner_connection: Raw) -> None:
        row = owner_connection.execute(
            "SELECT rolname, rolsuper, rolcreaterole, rolbypassrls, rolreplication FROM pg_roles"
            " WHERE rolname = current_user"
        ).fetchone()
        assert row == (OWNER, False, False, False, False)

    def test_it_owns_every_table(self, owner_connection: Raw) -> None:
        others = owner_connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user)"
        ).fetchall()
        assert others == []

    def test_it_can_migrate(self, owner_connection: Raw) -> None:
        assert not refused(owner_connection, sql.SQL("CREATE TABLE more (id int)"))

    def test_only_named_functions_run_with_its_rights(self, owner_connection: Raw) -> None:
        """A new SECURITY DEFINER function has to be looked at, and to fix its search path."""
        found = owner_connection.execute(
            "SELECT proname, proconfig::text FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
        ).fetchall()
        names = {name for name, _config in found}
        assert names == {
            "candor_ensure_month",
            "candor_drop_month",
            "candor_audit_chain",
            "candor_audit_chain_rows",
            "candor_audit_heads",
            "candor_forget_language_calls",
        }
        assert all("search_path=public, pg_temp" in str(config) for _name, config in found)
