"""What a start does before it serves."""

import psycopg

from config.processes import is_migrated

NEWEST = "SELECT max(id) FROM django_migrations WHERE app = 'signals'"


def test_a_database_behind_the_code_is_known(owner_connection: psycopg.Connection[tuple[object, ...]]) -> None:
    assert is_migrated()
    owner_connection.execute(f"UPDATE django_migrations SET name = name || '?' WHERE id = ({NEWEST})")
    try:
        assert not is_migrated()
    finally:
        owner_connection.execute(f"UPDATE django_migrations SET name = rtrim(name, '?') WHERE id = ({NEWEST})")
    assert is_migrated()
