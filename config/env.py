"""Typed readers of environment variables; each error names the variable and what it wants."""

import os
from urllib.parse import parse_qs, unquote, urlsplit

from lib.errors import CandorError


class BadSettingError(CandorError):
    """An environment variable that cannot be used."""


def text(name: str, default: str = "") -> str:
    """The variable's text, or `default` where it is unset or empty."""
    return os.environ.get(name) or default


def flag(name: str, default: bool = False) -> bool:
    """A yes/no variable: 1, true, yes, on against 0, false, no, off."""
    word = text(name, "1" if default else "0").lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise BadSettingError(f"{name}={word!r} is not a yes or no: use 1 or 0")


def number(name: str, default: float, *, low: float = float("-inf"), high: float = float("inf")) -> float:
    """A number between `low` and `high`."""
    word = text(name, str(default))
    try:
        value = float(word)
    except ValueError:
        raise BadSettingError(f"{name}={word!r} is not a number") from None
    if not low <= value <= high:
        span = f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"
        raise BadSettingError(f"{name}={word!r} is out of range: use {span}")
    return value


def whole(name: str, default: int, *, low: int = 0, high: int = 2**31) -> int:
    """A whole number between `low` and `high`."""
    value = number(name, default, low=low, high=high)
    if value != int(value):
        raise BadSettingError(f"{name}={value:g} is not a whole number")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    """A list separated by commas or spaces."""
    return text(name, default).replace(",", " ").split()


def database(name: str, default: str) -> dict[str, object]:
    """Django's database dictionary from a `postgresql://user:password@host:port/name?host=/socket` URL."""
    url = urlsplit(text(name, default))
    if url.scheme not in {"postgres", "postgresql"} or not url.path.strip("/"):
        raise BadSettingError(f"{name} is not a PostgreSQL URL: use postgresql://user:password@host:5432/name")
    query = {key: values[-1] for key, values in parse_qs(url.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.strip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": query.pop("host", url.hostname or ""),
        "PORT": str(url.port or ""),
        "OPTIONS": dict(query),
    }
