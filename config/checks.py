"""Settings that cannot work stop the start, each with a stable id and a hint."""

from ipaddress import ip_network

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from lib.sealing import SealingError, check_keys

READERS = ("auto", "lexicon", "linear", "finbert")


def register_all() -> None:
    """Register every check of this module."""
    register(secrets, Tags.security)
    register(sealing, Tags.security)
    register(market, Tags.compatibility)
    register(training_table, Tags.compatibility)
    register(language_models, Tags.compatibility)
    register(words, Tags.compatibility)


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


def words(**kwargs: object) -> list[CheckMessage]:
    """Networks are networks, and the reader of headlines is one that there is."""
    found: list[CheckMessage] = []
    for network in settings.FEED_NETWORKS:
        try:
            ip_network(network)
        except ValueError:
            hint = "Write networks as 10.0.0.0/8, separated by spaces."
            found.append(Error(f"FEED_NETWORKS: {network!r} is not a network.", hint=hint, id="candor.E024"))
    if settings.SENTIMENT_READER not in READERS:
        hint = f"Use one of: {', '.join(READERS)}."
        found.append(
            Error(f"SENTIMENT_READER={settings.SENTIMENT_READER!r} is not a reader.", hint=hint, id="candor.E025")
        )
    if settings.SENTIMENT_READER == "finbert" and not settings.SENTIMENT_FOLDER:
        hint = "Name the folder of its weights."
        found.append(Error("SENTIMENT_READER=finbert needs SENTIMENT_FOLDER.", hint=hint, id="candor.E026"))
    return found


def training_table(**kwargs: object) -> list[CheckMessage]:
    """TRAINING_TABLE names a schedule."""
    if settings.TRAINING_TABLE in {"auto", "gpu", "cpu"}:
        return []
    hint = "Use auto, gpu or cpu."
    return [Error(f"TRAINING_TABLE={settings.TRAINING_TABLE!r} is no schedule.", hint=hint, id="candor.E005")]


def language_models(**kwargs: object) -> list[CheckMessage]:
    """A language model is asked with a model id, inside a cap of the day that can be counted, and in time."""
    from models_ml.providers import PREFIXES, providers

    found: list[CheckMessage] = [
        Error(
            f"{prefix}_API_KEY is set without {prefix}_MODEL.",
            hint="Name the model to ask.",
            id="candor.E020",
        )
        for prefix in PREFIXES.values()
        if getattr(settings, f"{prefix}_API_KEY") and not getattr(settings, f"{prefix}_MODEL")
    ]
    if not providers():
        return found
    if not (settings.LLM_DAILY_COST_CAP or settings.LLM_DAILY_TOKEN_CAP):
        hint = "Set LLM_DAILY_COST_CAP (with prices) or LLM_DAILY_TOKEN_CAP."
        found.append(Error("Language models have no daily cap.", hint=hint, id="candor.E021"))
    for provider in providers().values() if settings.LLM_DAILY_COST_CAP else ():
        if provider.cost(1, 1) is None:
            prefix = PREFIXES[provider.seat]
            hint = f"Set {prefix}_PRICE_IN and {prefix}_PRICE_OUT, or use LLM_DAILY_TOKEN_CAP alone."
            found.append(Error(f"LLM_DAILY_COST_CAP needs prices of {prefix}_MODEL.", hint=hint, id="candor.E022"))
    if settings.LLM_DEADLINE_S >= settings.LATE_AFTER_S:
        hint = "Every round would be late: leave half a second between the two."
        found.append(Error("LLM_DEADLINE_S is not below LATE_AFTER_S.", hint=hint, id="candor.E023"))
    return found
