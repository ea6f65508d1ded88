"""What a start does before it serves, and what is told of a market's end."""

import psycopg
import pytest

from config.processes import hooks_of, is_migrated
from signals.models import PushEvent
from tests.factories_market import make_run

NEWEST = "SELECT max(id) FROM django_migrations WHERE app = 'signals'"


def test_a_database_behind_the_code_is_known(owner_connection: psycopg.Connection[tuple[object, ...]]) -> None:
    assert is_migrated()
    owner_connection.execute(f"UPDATE django_migrations SET name = name || '?' WHERE id = ({NEWEST})")
    try:
        assert not is_migrated()
    finally:
        owner_connection.execute(f"UPDATE django_migrations SET name = rtrim(name, '?') WHERE id = ({NEWEST})")
    assert is_migrated()


@pytest.mark.django_db
def test_the_end_of_a_recording_is_said_on_the_page_and_in_the_terminal() -> None:
    said: list[str] = []
    hooks = hooks_of(make_run("replay"), said.append)
    assert hooks.on_end is not None
    hooks.on_end()
    assert said == ["recording ended"]
    assert "recording ended" in PushEvent.objects.get(kind="market").body
