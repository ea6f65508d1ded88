"""Settings that cannot work stop the start, each with a stable id and a hint."""

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from lib.sealing import SealingError, check_keys


def register_all() -> None:
    """Register every check of this module."""
    register(secrets, Tags.security)
    register(sealing, Tags.security)
    register(market, Tags.compatibility)


def secrets(**kwargs: object) -> list[CheckMessage]:
    """A server without a key of its own would sign sessions that anybody can forge."""
    try:
        length = len(settings.SECRET_KEY)
    except ImproperlyConfigured:  # Django's answer to an empty one
        length = 0
    if length < 32:
        return [
            Error(
                "SECRET_KEY is missing or too short.", hint="Set SECRET_KEY to 50 random characters.", id="candor.E001"
            )
        ]
    return []


def sealing(**kwargs: object) -> list[CheckMessage]:
    """Without a key no secret could be stored, and with a wrong one none could be read."""
    try:
        check_keys()
    except SealingError as error:
        return [
            Error("SECRETS_KEYS cannot be used.", hint=f"{str(error)[:1].upper()}{str(error)[1:]}.", id="candor.E003")
        ]
    return []


def market(**kwargs: object) -> list[CheckMessage]:
    """MARKET names where candles come from."""
    from markets.venues import VENUES

    if settings.MARKET.isidentifier():  # any ccxt exchange id is one; opening it says whether ccxt knows it
        return []
    hint = f"Use auto, a ccxt exchange id, or one of: {', '.join(sorted(VENUES))}."
    return [Error(f"MARKET={settings.MARKET!r} is not a venue.", hint=hint, id="candor.E002")]
