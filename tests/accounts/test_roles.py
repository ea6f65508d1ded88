"""The application's role has only the rights it needs (security row S36)."""

from typing import Any

import psycopg
import pytest
from django.db import connection

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_suite_runs_as_the_application() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchall() == [("candor_app", False, False)]


def test_the_application_owns_nothing(app_connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    owned = app_connection.execute("SELECT relname FROM pg_class WHERE pg_get_userbyid(relowner) = 'candor_app'")
    assert owned.fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE accounts_membership",
        "ALTER TABLE accounts_membership ADD COLUMN x int",
        "ALTER TABLE accounts_membership DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE accounts_membership NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY candor_tenant ON accounts_membership",
        "CREATE POLICY mine ON accounts_membership USING (true)",
        "TRUNCATE accounts_membership",
        "CREATE TABLE mine (id int)",
        "SET ROLE candor_owner",
        "UPDATE accounts_auditentry SET action = 'x'",
        "DELETE FROM accounts_auditentry",
        "UPDATE accounts_acceptance SET version = 'x'",
        "DELETE FROM accounts_acceptance",
    ],
)
def test_the_application_may_not(statement: str, app_connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute(statement)


def test_row_security_cannot_be_switched_off(app_connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    app_connection.execute("SET row_security = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute("SELECT * FROM accounts_membership")
