"""Settings about people that cannot work stop the start."""

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from accounts.plans import PLANS


@register
def default_plan(**kwargs: object) -> list[CheckMessage]:
    """DEFAULT_PLAN is what a new organization gets."""
    if settings.DEFAULT_PLAN in PLANS:
        return []
    hint = f"Use one of: {', '.join(PLANS)}."
    return [Error(f"DEFAULT_PLAN={settings.DEFAULT_PLAN!r} is not a plan.", hint=hint, id="candor.E010")]
