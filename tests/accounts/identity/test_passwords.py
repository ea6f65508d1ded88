"""What a password may be, and how it is kept (S4, S5)."""

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from pytest_django import Settings

from accounts.identity.passwords import MaximumLengthValidator
from accounts.models import User
from tests.accounts.identity.doing import Browser
from tests.factories import PASSWORD


class Stronger(Argon2PasswordHasher):
    """Argon2id with parameters that have risen."""

    time_cost = Argon2PasswordHasher.time_cost + 1


@pytest.mark.parametrize(
    "password",
    ["abcdefghjk", "kkkkkkkk8k", "just small letters", "ß ü 漢字 emoji 🙂", "x y " * 16, "z9" * 64],
)
def test_length_is_all_that_counts(password: str) -> None:
    validate_password(password)


@pytest.mark.parametrize(
    "password", ["short", "ninechars", "password123", "1234567890", "qwertyuiop", "x" * 129, "ada@lovelace.example"]
)
def test_weak_and_endless_ones_are_refused(password: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(password, User(email="ada@lovelace.example"))


def test_the_limit_is_said() -> None:
    assert "128" in MaximumLengthValidator().get_help_text()
    with pytest.raises(ValidationError, match="at most 128"):
        MaximumLengthValidator().validate("x" * 129)


@pytest.mark.django_db(transaction=True)
def test_a_kept_hash_rises_with_its_parameters(ada: User, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    ada.set_password(PASSWORD)
    ada.save()
    weaker = ada.password
    settings.PASSWORD_HASHERS = [f"{Stronger.__module__}.Stronger"]
    browser = Browser(ada.email)
    browser.sign_in()
    ada.refresh_from_db()
    assert "t=2" in weaker
    assert "t=3" in ada.password
    assert browser.is_in
