"""Which instruments an organization follows: chosen on one page, obeyed by every fetch (`signals.access`)."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.access import Viewer, access_organization, viewer_of
from accounts.audit import record
from accounts.limits import Limit, PlanLimit, allowance, check
from accounts.models import Organization, User
from accounts.plans import plan_of
from markets.models import Instrument
from markets.runs import current_run
from signals import push
from signals.access import access_instruments, followed_ids


def follow(organization: Organization, chosen: list[int], market: tuple[int, ...], by: User) -> None:
    """Let the entered organization follow these instruments of a market; what it follows elsewhere stays.

    Args:
        organization: the one whose scope is entered.
        chosen: ids; none of them: the market's first ones again.
        market: the ids that can be chosen from.
        by: who chose.

    Raises:
        PlanLimit: the plan includes fewer.
    """
    wanted = [pk for pk in dict.fromkeys(chosen) if pk in market]
    check(plan_of(organization.plan), Limit.INSTRUMENTS, 0, adding=len(wanted))
    with transaction.atomic():
        locked = Organization.objects.select_for_update().get(pk=organization.pk)
        kept = [pk for pk in locked.followed if pk not in market]
        locked.followed = organization.followed = [*wanted, *kept]
        locked.save(update_fields=["followed"])
        record("instruments.chosen", user=by, organization_id=organization.pk, count=len(wanted))
        push.recheck(organization_id=organization.pk)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show the choice; store another one."""
    viewer, market = viewer_of(request), followed_ids(current_run())
    organization = access_organization(viewer)
    if request.method != "POST" or not isinstance(request.user, User):
        return _page(request, viewer, organization, market)
    if not viewer.may_write:
        raise PermissionDenied("read-only members choose no instruments")
    chosen = [int(text) for text in request.POST.getlist("instrument") if text.isdecimal() and len(text) < 19]
    try:
        follow(organization, chosen, market, request.user)
    except PlanLimit as error:
        return _page(request, viewer, organization, market, chosen=chosen, problem=error)
    messages.success(request, _("Saved. Open boards follow at once."))
    return redirect("instruments")


def _page(
    request: HttpRequest,
    viewer: Viewer,
    organization: Organization,
    market: tuple[int, ...],
    *,
    chosen: list[int] | None = None,
    problem: PlanLimit | None = None,
) -> HttpResponse:
    own = [pk for pk in organization.followed if pk in market]
    included = set(access_instruments(viewer).values_list("pk", flat=True))
    ticked = set(own if chosen is None else chosen)
    context = {
        "rows": [
            {"instrument": row, "ticked": row.pk in ticked, "included": row.pk in included}
            for row in Instrument.objects.filter(pk__in=market).order_by("pk")
        ],
        "allowance": allowance(viewer.plan, Limit.INSTRUMENTS, len(own) or len(included)),
        "chose": bool(own),
        "problem": problem,
    }
    return render(request, "signals/instruments.html", context, status=422 if problem else 200)
