"""The strip under the header that says which market is shown."""

from typing import Any

from django import template
from django.template.context import Context

from accounts.access import viewer_of
from signals.banner import delay_line, market_of, progress_of

register = template.Library()


@register.inclusion_tag("widgets/_market.html", takes_context=True)
def market_strip(context: Context) -> dict[str, Any]:
    """Market, delay and training progress; nothing on a page without a request (a broken one)."""
    request = context.get("request")
    if request is None:
        return {}
    run = context.get("run")
    return {
        "market": {**market_of(run), "delay": delay_line(viewer_of(request).delay_s)},
        "progress": progress_of(run),
        "live": context.get("live"),
    }
