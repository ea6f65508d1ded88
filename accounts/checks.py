"""Settings about people that cannot work stop the start."""

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, transaction

from accounts.demo import OPERATOR, OWNER
from accounts.models import User
from accounts.plans import PLANS


@register
def default_plan(**kwargs: object) -> list[CheckMessage]:
    """DEFAULT_PLAN is what a new organization gets."""
    if settings.DEFAULT_PLAN in PLANS:
        return []
    hint = f"Use one of: {', '.join(PLANS)}."
    return [Error(f"DEFAULT_PLAN={settings.DEFAULT_PLAN!r} is not a plan.", hint=hint, id="candor.E010")]


@register(Tags.database)
def no_demo_accounts(**kwargs: object) -> list[CheckMessage]:
    """The demonstration's people have no place on a server; `manage.py migrate` and `check --database default` look."""
    if settings.DEMO_ACCOUNTS:
        return []
    try:
        with transaction.atomic():
            found = list(
                User.objects.filter(email__in=[OWNER, OPERATOR], is_active=True).values_list("email", flat=True)
            )
    except DatabaseError:  # before the first migration there is nobody
        return []
    hint = "Switch them off in the console, or erase them."
    return [Warning(f"The demo account {email} is active on a server.", hint=hint, id="candor.W011") for email in found]
