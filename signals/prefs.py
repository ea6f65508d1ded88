"""What a reader chose on the settings page, kept in one cookie.

The server reads the cookie and puts the choices on `<html>`, so the first frame is already right: no flash, no
sign-in, no script needed.
"""

from dataclasses import asdict, dataclass, fields
from typing import Final
from urllib.parse import parse_qsl, urlencode
from zoneinfo import available_timezones

from django.conf import settings
from django.http import HttpRequest, HttpResponse

YEAR_S: Final = 365 * 86_400

CHOICES: Final[dict[str, dict[str, str]]] = {
    "theme": {"auto": "Follow the system", "light": "Light", "dark": "Dark"},
    "colours": {
        "standard": "Green up, red down",
        "swapped": "Red up, green down",
        "safe": "Blue up, orange down (colour-blind safe)",
    },
    "motion": {"auto": "Follow the system", "reduce": "Reduce motion"},
    "keys": {"on": "Single-key shortcuts on", "off": "Single-key shortcuts off"},
}
LEGENDS: Final = {"theme": "Theme", "colours": "Colours", "motion": "Motion", "keys": "Keyboard"}


@dataclass(frozen=True, slots=True)
class Preferences:
    """The choices; every field has a value that works."""

    theme: str = "auto"
    colours: str = "standard"
    motion: str = "auto"
    keys: str = "on"
    time_zone: str = "UTC"

    def cookie(self) -> str:
        """The cookie's text."""
        return urlencode(asdict(self))


def groups(chosen: Preferences) -> list[dict[str, object]]:
    """The choices as the form shows them."""
    return [
        {
            "name": name,
            "legend": LEGENDS[name],
            "options": [
                {"key": key, "title": title, "chosen": getattr(chosen, name) == key} for key, title in options.items()
            ],
        }
        for name, options in CHOICES.items()
    ]


def zones() -> list[str]:
    """Time zones offered, sorted."""
    return sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")


def parse(text: str) -> Preferences:
    """The choices in a cookie; what is unknown or tampered with falls back to its default."""
    known = {field.name for field in fields(Preferences)}
    given = {key: value for key, value in parse_qsl(text[:400]) if key in known}
    return Preferences(**{key: value for key, value in given.items() if _valid(key, value)})


def preferences_of(request: HttpRequest) -> Preferences:
    """The reader's choices."""
    return parse(request.COOKIES.get(settings.PREFERENCES_COOKIE_NAME, ""))


def remember(response: HttpResponse, chosen: Preferences, *, secure: bool) -> None:
    """Keep the choices for a year."""
    name = settings.PREFERENCES_COOKIE_NAME
    response.set_cookie(name, chosen.cookie(), max_age=YEAR_S, samesite="Lax", secure=secure, httponly=True)


def _valid(key: str, value: str) -> bool:
    return value in available_timezones() if key == "time_zone" else value in CHOICES[key]
