"""Secrets at rest (security row S20): what was sealed opens in its own place only, and keys can be changed."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from config import checks
from lib.sealing import SealingError, check_keys, is_current, new_key, seal, unseal

HERE = "tenant:7:secret:1"


@given(st.text())
def test_what_is_sealed_opens_again(plain: str) -> None:
    assert unseal(seal(plain, context=HERE), context=HERE) == plain


def test_the_same_secret_is_never_sealed_alike() -> None:
    assert len({seal("same", context=HERE) for _ in range(100)}) == 100


def test_the_secret_is_not_in_the_text() -> None:
    sealed = seal("a-very-secret-key", context=HERE)
    assert "a-very-secret-key" not in sealed
    assert b"a-very-secret-key" not in base64.urlsafe_b64decode(sealed.split(".")[2])


@pytest.mark.parametrize("elsewhere", ["", "tenant:8:secret:1", "tenant:7:secret:2", "tenant:7:secret:1 "])
def test_a_copied_text_does_not_open(elsewhere: str) -> None:
    with pytest.raises(SealingError, match="belongs elsewhere"):
        unseal(seal("x", context=HERE), context=elsewhere)


def test_every_changed_byte_is_noticed() -> None:
    head, key, body = seal("secret", context=HERE).split(".")
    packed = base64.urlsafe_b64decode(body)
    for at in range(len(packed)):
        changed = packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :]
        with pytest.raises(SealingError):
            unseal(f"{head}.{key}.{base64.urlsafe_b64encode(changed).decode()}", context=HERE)


@pytest.mark.parametrize(
    "junk", ["", "plain", "v1", "v1.a.b.c", "v1..", "v2.00000000.AAAA", "v1.00000000.AAAA", "é.é.é"]
)
def test_junk_is_refused_in_words(junk: str) -> None:
    with pytest.raises(SealingError):
        unseal(junk, context=HERE)


def test_a_short_body_is_damage_not_a_crash() -> None:
    head, key, _body = seal("secret", context=HERE).split(".")
    for body in ("", "AAAA", "AAAAAAAAAAAAAAAA"):
        with pytest.raises(SealingError):
            unseal(f"{head}.{key}.{body}", context=HERE)


def test_keys_are_changed_by_putting_a_new_one_in_front(settings: Settings) -> None:
    old = seal("secret", context=HERE)
    settings.SECRETS_KEYS = [new_key(), *settings.SECRETS_KEYS]
    assert not is_current(old)
    assert unseal(old, context=HERE) == "secret"
    new = seal("secret", context=HERE)
    assert is_current(new)
    settings.SECRETS_KEYS = settings.SECRETS_KEYS[:1]
    assert unseal(new, context=HERE) == "secret"
    with pytest.raises(SealingError, match="put that key back"):
        unseal(old, context=HERE)


@pytest.mark.parametrize("keys", [[], ["not base64!"], ["c2hvcnQ="], [""]])
def test_unusable_keys_stop_the_start(settings: Settings, keys: list[str]) -> None:
    settings.SECRETS_KEYS = keys
    with pytest.raises(SealingError, match="SECRETS_KEYS"):
        check_keys()
    (message,) = checks.sealing()
    assert (message.id, "openssl rand" in str(message.hint)) == ("candor.E003", True)


def test_good_keys_pass_the_check() -> None:
    assert checks.sealing() == []
