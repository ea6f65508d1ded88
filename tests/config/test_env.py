"""Readers of environment variables: the value, or one line that names the variable and the remedy."""

import pytest

from config import env
from config.env import BadSettingError

NAME = "CANDOR_TEST_VALUE"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv(NAME, raising=False)
    return monkeypatch


def test_text(given: pytest.MonkeyPatch) -> None:
    assert env.text(NAME) == ""
    assert env.text(NAME, "x") == "x"
    given.setenv(NAME, "")
    assert env.text(NAME, "x") == "x", "set but empty is not set"
    given.setenv(NAME, "y")
    assert env.text(NAME, "x") == "y"


@pytest.mark.parametrize(
    ("word", "value"), [("1", True), ("YES", True), ("On", True), ("0", False), ("no", False), ("off", False)]
)
def test_flag(given: pytest.MonkeyPatch, word: str, value: bool) -> None:
    given.setenv(NAME, word)
    assert env.flag(NAME, default=not value) is value


def test_a_flag_has_a_default(given: pytest.MonkeyPatch) -> None:
    assert env.flag(NAME) is False
    assert env.flag(NAME, default=True) is True


@pytest.mark.parametrize(
    ("reader", "word", "error"),
    [
        (lambda: env.flag(NAME), "maybe", f"{NAME}='maybe' is not a yes or no: use 1 or 0"),
        (lambda: env.number(NAME, 1), "many", f"{NAME}='many' is not a number"),
        (lambda: env.number(NAME, 1, low=0, high=5), "5.1", f"{NAME}='5.1' is out of range: use 0 to 5"),
        (lambda: env.number(NAME, 1, low=0, high=5), "-0.1", f"{NAME}='-0.1' is out of range: use 0 to 5"),
        (lambda: env.number(NAME, 1, low=0), "nan", f"{NAME}='nan' is out of range: use 0 or more"),
        (lambda: env.whole(NAME, 1), "1.5", f"{NAME}=1.5 is not a whole number"),
        (lambda: env.whole(NAME, 1), "-1", f"{NAME}='-1' is out of range: use 0 to 2.14748e+09"),
        (lambda: env.database(NAME, ""), "mysql://x/y", f"{NAME} is not a PostgreSQL URL: use postgresql://user:password@host:5432/name"),
        (lambda: env.database(NAME, ""), "postgresql://host", f"{NAME} is not a PostgreSQL URL: use postgresql://user:password@host:5432/name"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_with_the_remedy(
    given: pytest.MonkeyPatch, reader: object, word: str, error: str
) -> None:
    given.setenv(NAME, word)
    assert callable(reader)
    with pytest.raises(BadSettingError) as caught:
        reader()
    assert str(caught.value) == error


@pytest.mark.parametrize(("word", "value"), [("0", 0.0), ("5", 5.0), ("2.5", 2.5), ("1e0", 1.0)])
def test_number_includes_its_bounds(given: pytest.MonkeyPatch, word: str, value: float) -> None:
    given.setenv(NAME, word)
    assert env.number(NAME, 1, low=0, high=5) == value


def test_whole_and_words(given: pytest.MonkeyPatch) -> None:
    assert env.whole(NAME, 24, low=1) == 24
    assert env.words(NAME, "a b") == ["a", "b"]
    given.setenv(NAME, "7")
    assert env.whole(NAME, 24) == 7
    given.setenv(NAME, " one.example,two.example  three.example ")
    assert env.words(NAME) == ["one.example", "two.example", "three.example"]


def test_database_urls(given: pytest.MonkeyPatch) -> None:
    given.setenv(NAME, "postgres://me:p%40ss@db.example:6432/my%2Ddb?sslmode=require")
    assert env.database(NAME, "") == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "my-db",
        "USER": "me",
        "PASSWORD": "p@ss",
        "HOST": "db.example",
        "PORT": "6432",
        "OPTIONS": {"sslmode": "require"},
    }
    socket = env.database("CANDOR_UNSET", "postgresql://candor_app@/candor?host=/run/candor")
    assert (socket["HOST"], socket["PORT"], socket["PASSWORD"], socket["OPTIONS"]) == ("/run/candor", "", "", {})
