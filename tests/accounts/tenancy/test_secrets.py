"""Stored secrets of a tenant (security row S20)."""

from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from accounts.models import Organization, TenantSecret
from accounts.scoping import scope_to
from accounts.sealed import _renewed, forget_secret, put_secret, reveal_secret, rotate
from lib.sealing import SealingError, is_current, new_key, seal, unseal
from tests.accounts.tenancy.acts import entries
from tests.accounts.tenancy.test_erasing import dump
from tests.people import Person

Raw = psycopg.Connection[tuple[Any, ...]]
PLAIN = "kraken-read-only-key-4711"


def stored(person: Person, name: str = "kraken", plain: str = PLAIN) -> TenantSecret:
    with scope_to(person.organization.pk):
        return put_secret(person.organization, "exchange", name, plain, person.user)


def revealed(organization: Organization, name: str = "kraken") -> str | None:
    with scope_to(organization.pk):
        return reveal_secret(organization, "exchange", name)


@pytest.mark.django_db
def test_put_reveal_replace_forget(owner: Person, stranger: Person) -> None:
    stored(owner)
    assert revealed(owner.organization) == PLAIN
    secret = stored(owner, plain="another")
    assert revealed(owner.organization) == "another"
    assert revealed(stranger.organization) is None
    with scope_to(owner.organization.pk):
        secret.refresh_from_db()
        assert secret.last_used_at is not None
        forget_secret(secret, owner.user)
    assert revealed(owner.organization) is None
    acts = [entry.action for entry in entries(action__startswith="secret.")]
    assert acts == ["secret.stored", "secret.stored", "secret.forgotten"]
    assert PLAIN not in str([entry.facts for entry in entries()])


@pytest.mark.django_db
def test_a_row_copied_to_another_tenant_does_not_open(owner: Person, stranger: Person) -> None:
    mine, theirs = stored(owner), stored(stranger, plain="theirs")
    with scope_to(stranger.organization.pk):
        TenantSecret.objects.filter(pk=theirs.pk).update(sealed=mine.sealed)
    with pytest.raises(SealingError, match="belongs elsewhere"):
        revealed(stranger.organization)


@pytest.mark.django_db
def test_a_text_copied_to_another_row_of_the_tenant_does_not_open(owner: Person) -> None:
    mine, other = stored(owner), stored(owner, "binance", "x")
    with scope_to(owner.organization.pk):
        TenantSecret.objects.filter(pk=other.pk).update(sealed=mine.sealed)
    with pytest.raises(SealingError):
        revealed(owner.organization, "binance")


@pytest.mark.django_db(transaction=True)
def test_a_dump_holds_no_plain_text(owner: Person, app_connection: Raw) -> None:
    stored(owner)
    text = dump(app_connection)
    assert "v1." in text
    assert PLAIN not in text


@pytest.mark.django_db(transaction=True)
def test_keys_change_while_the_site_runs(owner: Person, stranger: Person, settings: Settings) -> None:
    """Readers and writers go on through the rotation, and afterwards the old key can go."""
    for number in range(60):
        stored(owner, f"key-{number}", f"plain-{number}")
    settings.SECRETS_KEYS = [new_key(), *settings.SECRETS_KEYS]
    stop, wrong, reads = Event(), list[str](), [0]

    def use() -> None:
        while not stop.is_set():
            for number in (0, 30, 59):
                if revealed(owner.organization, f"key-{number}") != f"plain-{number}":
                    wrong.append(f"key-{number}")
                reads[0] += 1
            stored(stranger, "busy", "written meanwhile")
        connection.close()

    user = Thread(target=use)
    user.start()
    try:
        assert rotate() >= 60
    finally:
        stop.set()
        user.join()
    assert rotate() == 0
    assert wrong == []
    assert reads[0] > 0
    settings.SECRETS_KEYS = settings.SECRETS_KEYS[:1]
    assert revealed(owner.organization, "key-59") == "plain-59"
    assert revealed(stranger.organization, "busy") == "written meanwhile"


@pytest.mark.django_db(transaction=True)
def test_the_command(owner: Person, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    stored(owner)
    call_command("rotate_secrets")
    assert capsys.readouterr().out.startswith("0 secrets")
    settings.SECRETS_KEYS = [new_key()]
    with pytest.raises(CommandError, match="put that key back"):
        call_command("rotate_secrets")


def test_sealed_parts_of_a_second_factor_are_renewed(settings: Settings) -> None:
    old = seal("totp", context="mfa")
    settings.SECRETS_KEYS = [new_key(), *settings.SECRETS_KEYS]
    data = {"secret": old, "codes": [old, "plain"], "n": 3}
    fresh = _renewed(data)
    assert is_current(fresh["secret"])
    assert unseal(fresh["codes"][0], context="mfa") == "totp"
    assert (fresh["codes"][1], fresh["n"]) == ("plain", 3)
    assert _renewed(fresh) == fresh
