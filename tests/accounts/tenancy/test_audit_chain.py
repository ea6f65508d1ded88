"""The hash chains of the audit log (security row S25): every kind of tampering is found, at its first row."""

from dataclasses import replace
from threading import Thread
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from accounts.audit import operator_work, record
from accounts.audit_chain import START, Link, digest, digest_of, first_break
from accounts.audit_reading import read_links, verify_chains
from accounts.scoping import scope_to
from tests.accounts.tenancy.acts import entries
from tests.people import Person

Raw = psycopg.Connection[tuple[Any, ...]]
ROWS = 6


def chained(count: int = ROWS) -> list[Link]:
    """A whole chain made in Python alone."""
    links: list[Link] = []
    for number in range(1, count + 1):
        previous = links[-1].hash if links else START
        sealed = digest("salt", "192.0.2.1", "{}")
        facts = ("2026-01-01", "7", "1", "user:1", "test.act", "request", "{}", sealed, "salt", "192.0.2.1", "{}")
        link = Link(7, number, previous, "", f"key-{number}", *facts)
        links.append(replace(link, hash=digest_of(link)))
    return links


def head_of(links: list[Link]) -> tuple[int, str]:
    return links[-1].number, links[-1].hash


def test_a_whole_chain_has_no_break() -> None:
    links = chained()
    assert first_break(7, links, head_of(links)) is None
    assert first_break(7, [], None) is None


FIELDS = ("at", "organization", "user", "actor", "action", "request_id", "details", "personal_sha256", "key", "ip")


@pytest.mark.parametrize("field", [*FIELDS, "personal", "hash", "previous"])
@pytest.mark.parametrize("at", range(ROWS))
def test_a_changed_row_is_named(field: str, at: int) -> None:
    links = chained()
    head = head_of(links)
    links[at] = replace(links[at], **{field: "forged"})  # type: ignore[arg-type]  # fields of text, chosen above
    found = first_break(7, links, head)
    assert found is not None
    assert found.number == at + 1


@pytest.mark.parametrize("at", range(ROWS))
def test_a_removed_row_is_named(at: int) -> None:
    links = chained()
    head = head_of(links)
    del links[at]
    found = first_break(7, links, head)
    assert found is not None
    assert found.number == at + 1


def test_rows_that_changed_places_are_named() -> None:
    links = chained()
    links[1], links[2] = links[2], links[1]
    found = first_break(7, links, head_of(chained()))
    assert found is not None
    assert found.number == 2


def test_a_chain_rewritten_from_a_row_on_does_not_reach_the_head() -> None:
    links, head = chained(), head_of(chained())
    for at in range(3, ROWS):
        link = replace(links[at], previous=links[at - 1].hash, actor="somebody else")
        links[at] = replace(link, hash=digest_of(link))
    found = first_break(7, links, head)
    assert found is not None
    assert "written last" in found.reason


def test_erased_personal_facts_are_no_break_and_cannot_come_back() -> None:
    links = chained()
    links[2] = replace(links[2], salt="", ip="")
    assert first_break(7, links, head_of(links)) is None
    links[2] = replace(links[2], ip="203.0.113.9")
    found = first_break(7, links, head_of(links))
    assert found is not None
    assert "put back" in found.reason


@given(
    st.lists(st.text(alphabet="ab:\n1", max_size=4), max_size=4), st.lists(st.text("ab:\n1", max_size=4), max_size=4)
)
def test_two_lists_of_fields_never_share_a_digest(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) is (one == other)


# ---- in the database


@pytest.mark.django_db(transaction=True)
class TestStoredChains:
    """Rows as PostgreSQL chains them at commit."""

    def test_python_and_postgresql_agree(self, owner: Person, stranger: Person, operator: Person) -> None:
        with scope_to(owner.organization.pk):
            personal = {"email": "ünï@desk.example", "name": 'a "quoted"\nname'}
            record("test.odd", user=owner.user, organization_id=owner.organization.pk, personal=personal, n=3, yes=True)
        with operator_work("test", "check"):
            count, broken = verify_chains()
        assert (count, broken) == (3, [])
        numbers = [entry.number for entry in entries(organization_id=owner.organization.pk)]
        assert numbers == list(range(1, len(numbers) + 1))

    def test_a_transaction_rolled_back_leaves_no_gap(self, owner: Person) -> None:
        for keep in (True, False, True):
            with transaction.atomic():
                with scope_to(owner.organization.pk):
                    record("test.act", user=owner.user, organization_id=owner.organization.pk)
                transaction.set_rollback(not keep)
        numbers = [entry.number for entry in entries(organization_id=owner.organization.pk)]
        assert numbers == list(range(1, len(numbers) + 1))

    def test_many_writers_make_one_gapless_chain(self, owner: Person) -> None:
        """In both orders of organization and none, so that a wrong order of locks would end in a deadlock."""

        def write(first_here: bool) -> None:
            for _ in range(10):
                with transaction.atomic(), operator_work("test:writer", "both chains"):
                    places = [owner.organization.pk, None] if first_here else [None, owner.organization.pk]
                    for place in places:
                        record("test.act", organization_id=place, actor="test:writer")
            connection.close()

        threads = [Thread(target=write, args=(number % 2 == 0,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(entries(action="test.act")) == 120
        with operator_work("test", "check"):
            assert verify_chains()[1] == []

    def test_a_row_cannot_bring_its_own_place(self, owner: Person, app_connection: Raw) -> None:
        with app_connection.transaction():
            app_connection.execute("SELECT set_config('app.organization', %s, true)", [str(owner.organization.pk)])
            app_connection.execute(
                "INSERT INTO accounts_auditentry (id, at, actor, action, details, organization_id, chain, number, hash)"
                " VALUES (gen_random_uuid(), now(), 'x', 'test.forged', '{}', %s, 99, 77, 'mine')",
                [owner.organization.pk],
            )
        (entry,) = entries(action="test.forged")
        assert (entry.chain, entry.hash != "mine", entry.number != 77) == (owner.organization.pk, True, True)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE accounts_auditentry SET action = 'x'",
            "DELETE FROM accounts_auditentry",
            'UPDATE accounts_auditentry SET personal = \'{"email": "x"}\'',
            "UPDATE accounts_auditentry SET ip = '203.0.113.1'",
            "TRUNCATE accounts_auditentry",
            "SELECT * FROM accounts_audithead",
            "UPDATE accounts_audithead SET number = 0",
            "SELECT candor_audit_chain_rows()",
            "ALTER TABLE accounts_auditentry DISABLE TRIGGER ALL",
        ],
    )
    def test_the_application_cannot_rewrite_the_log(self, owner: Person, app_connection: Raw, statement: str) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), app_connection.transaction():  # noqa: PT012
            app_connection.execute("SELECT set_config('app.operator', 'on', true)")
            app_connection.execute(statement)

    def test_not_even_the_owner_of_the_tables_rewrites_it_in_passing(
        self, owner: Person, owner_connection: Raw
    ) -> None:
        for statement in ("UPDATE accounts_auditentry SET action = 'x'", "DELETE FROM accounts_auditentry"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), owner_connection.transaction():  # noqa: PT012
                owner_connection.execute("SELECT set_config('app.operator', 'on', true)")
                owner_connection.execute(statement)

    def test_the_command_names_the_first_broken_row(
        self, owner: Person, owner_connection: Raw, capsys: pytest.CaptureFixture[str]
    ) -> None:
        call_command("verify_audit")
        assert "are whole" in capsys.readouterr().out
        with owner_connection.transaction():
            owner_connection.execute("SELECT set_config('app.operator', 'on', true)")
            owner_connection.execute("ALTER TABLE accounts_auditentry DISABLE TRIGGER candor_audit_guard")
            owner_connection.execute(
                "UPDATE accounts_auditentry SET action = 'nothing.happened' WHERE organization_id = %s AND number = 1",
                [owner.organization.pk],
            )
            owner_connection.execute("ALTER TABLE accounts_auditentry ENABLE TRIGGER candor_audit_guard")
        with pytest.raises(CommandError, match="1 of 2 audit chains are broken"):
            call_command("verify_audit")
        assert f"chain {owner.organization.pk}, row 1: the row was changed" in capsys.readouterr().err

    def test_a_cut_off_end_is_noticed(self, owner: Person, owner_connection: Raw) -> None:
        with owner_connection.transaction():
            owner_connection.execute("SELECT set_config('app.operator', 'on', true)")
            owner_connection.execute("ALTER TABLE accounts_auditentry DISABLE TRIGGER candor_audit_guard")
            owner_connection.execute(
                "DELETE FROM accounts_auditentry WHERE organization_id = %s", [owner.organization.pk]
            )
            owner_connection.execute("ALTER TABLE accounts_auditentry ENABLE TRIGGER candor_audit_guard")
        with operator_work("test", "check"):
            (broken,) = verify_chains([owner.organization.pk])[1]
            assert "written last" in broken.reason
            assert list(read_links(owner.organization.pk)) == []

    def test_heads_are_for_operators(self, owner: Person, app_connection: Raw) -> None:
        assert app_connection.execute("SELECT * FROM candor_audit_heads()").fetchall() == []
