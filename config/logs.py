"""Logs as structured events: JSON lines on servers, readable lines on one machine, ids included."""

import logging
import logging.config
import re
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings

REDACTED = "[redacted]"
NAMES = re.compile(
    r"password|passwd|secret|token|authorization|cookie|api_?key|signature|credential|private", re.IGNORECASE
)
"""Names whose values never stand in a line, wherever they are bound."""

PATTERNS = (
    re.compile(r"(?<=/invitation/)[^/\s\"'?]+"),
    re.compile(r"(?<=/accounts/confirm-email/)[^/\s\"'?]+"),
    re.compile(r"(?<=/accounts/password/reset/key/)[^/\s\"'?]+"),
    re.compile(r"(?<=[Bb]earer )[\w.~+/=-]+"),
    re.compile(r"\b(?:[srp]k|rk|whsec|cs|seti|pi)_(?:live|test)_\w+|\bwhsec_[\w+/=]+|\bck_\w{8,}"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"(?i)(?<=password=)[^\s&,;\"']+|(?<=token=)[^\s&,;\"']+|(?<=secret=)[^\s&,;\"']+"),
)
"""What a secret looks like inside a text: in a path, a header, a provider's key, a URL with a password."""

SETTING_NAMES = re.compile(r"(KEYS?|SECRETS?|TOKEN|PASSWORD)$")
SHORTEST = 8  # a shorter value would take ordinary words out of the log


@lru_cache(maxsize=1)
def _own_secrets() -> tuple[str, ...]:
    """Values of the installation's own secrets, longest first."""
    found: list[object] = [settings.DATABASES["default"].get("PASSWORD")]
    for name in filter(SETTING_NAMES.search, dir(settings)):
        value = getattr(settings, name, "")
        found += value if isinstance(value, list) else [value]
    texts = {value for value in found if isinstance(value, str) and len(value) >= SHORTEST}
    return tuple(sorted(texts, key=len, reverse=True))


def redact(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out of a line, by the name they are bound to and by what they look like; a processor."""
    for name, value in event.items():
        event[name] = _clean(value, name)
    return event


def _clean(value: object, name: str = "") -> object:
    if isinstance(value, str):
        return REDACTED if value and NAMES.search(name) else _without_secrets(value)
    if isinstance(value, dict):
        return {key: _clean(part, str(key)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(part, name) for part in value]
    return value


def _without_secrets(text: str) -> str:
    for secret in _own_secrets():
        text = text.replace(secret, REDACTED)
    for pattern in PATTERNS:
        text = pattern.sub(REDACTED, text)
    return text


def configure(options: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG callback; `options` is {"json": bool, "level": str}."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: Any = structlog.processors.JSONRenderer()
    if not options["json"]:  # plain tracebacks: the pretty ones print local variables, and with them secrets
        render = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    errors = [structlog.processors.format_exc_info]  # as text, so that it can be redacted as well
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "lines": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *errors, redact, render],
                }
            },
            "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "lines"}},
            "root": {"handlers": ["out"], "level": options["level"]},
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
