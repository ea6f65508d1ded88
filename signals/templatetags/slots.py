"""Slots: places in a page that the server fills now and `board.js` fills later from the same dictionary."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.template.context import Context
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from lib.clock import from_epoch
from signals.prefs import Preferences, preferences_of

register = template.Library()

Values = Mapping[str, Any] | str | None
"""A card or a row; None or Django's empty text where a slot waits for its first event."""


def _of(values: Values, name: str) -> object:
    return values.get(name) or "" if isinstance(values, Mapping) else ""


@register.simple_tag
def slot(values: Values, name: str, tag: str = "span", css: str = "", **attributes: str) -> SafeString:
    """An element that shows `values[name]` and is hidden while that is empty."""
    text = _of(values, name)
    more = format_html_join("", ' {}="{}"', ((key.replace("_", "-"), value) for key, value in attributes.items()))
    return format_html(
        '<{tag} data-slot="{name}" class="{css}"{more}{hidden}>{text}</{tag}>',
        tag=SafeString(tag),
        name=name,
        css=css,
        more=more,
        hidden=SafeString("" if text else " hidden"),
        text=text,
    )


@register.simple_tag
def shown(values: Values, name: str) -> SafeString:
    """Attributes of a wrapper that is there only while `values[name]` is not empty."""
    return format_html('data-show="{}"{}', name, SafeString("" if _of(values, name) else " hidden"))


@register.simple_tag
def bound(values: Values, pairs: str) -> SafeString:
    """Attributes bound to values: `bound card "href:permalink"` gives `href="…" data-bind="href:permalink"`."""
    parts = [pair.split(":") for pair in pairs.split()]
    filled = format_html_join("", ' {}="{}"', ((attribute, _of(values, name)) for attribute, name in parts))
    return format_html('data-bind="{}"{}', pairs, filled)


@register.simple_tag
def root(values: Values) -> SafeString:
    """The `data-*` attributes of a card or a row."""
    attributes = _of(values, "attrs")
    pairs = attributes.items() if isinstance(attributes, Mapping) else ()
    return format_html_join(" ", 'data-{}="{}"', pairs)


@register.simple_tag(takes_context=True)
def moment(context: Context, seconds: float | None, name: str = "", form: str = "time") -> SafeString:
    """A `<time>` in the reader's zone: form `time` is 14:03:07, `day` is 2025-03-01 14:03:07."""
    at = from_epoch(seconds or 0)
    text = _local(at, preferences_of(context["request"]).time_zone, form) if seconds else ""
    bound_to = format_html(' data-slot-time="{}"', name) if name else ""
    return format_html(
        '<time datetime="{}" data-form="{}" data-epoch="{}"{}>{}</time>',
        at.isoformat() if seconds else "",
        form,
        seconds or 0,
        bound_to,
        text,
    )


def _local(at: datetime, zone: str, form: str) -> str:
    return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S" if form == "day" else "%H:%M:%S")


@register.simple_tag(takes_context=True)
def preferences(context: Context) -> Preferences:
    """What the reader chose. An error page has `seen_by` in place of `request`, so that nothing queries."""
    request = context.get("request") or context.get("seen_by")
    return preferences_of(request) if request is not None else Preferences()
