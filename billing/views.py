"""Pages about plans and payments: fetch what the viewer may see, call, render."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import access_organization, viewer_of
from accounts.models import User
from billing import buying, changing, offers
from billing.access import access_attempt, access_customer, access_subscription, access_usage
from billing.catalogue import money, read_catalogue
from billing.errors import BillingError
from billing.forms import ChangeForm, WishForm
from billing.gateway import client, enabled, is_sandbox, page_origins, speaking
from billing.invoicing import invoices_of
from billing.models import CheckoutAttempt, Subscription
from billing.notices import notice_of
from billing.sync import sync
from lib.clock import wall_now

GET_AND_POST = ("GET", "HEAD", "POST")
RETRY_AFTER_S = 30
WAIT_S = 3
WAITS = 20
"""How often the return page looks again by itself: a minute in all."""

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def paid(view: View[P]) -> View[P]:
    """For members only; where nobody can pay here, a page that says so. Forms may lead to Stripe's pages."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        access_organization(viewer_of(request))
        if not enabled():
            return _page(request, "billing/self_hosted.html", {"usage": access_usage(viewer_of(request))}, status=404)
        response = view(request, *args, **kwargs)
        response._csp_update = {"form-action": page_origins()}  # type: ignore[attr-defined]  # django-csp's own hook
        response["Cache-Control"] = "no-store"
        return response

    return login_required(guarded)


@paid
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """The plan, what is used of it, and what there is to do about it."""
    return _overview(request)


@paid
@require_GET
def plans(request: HttpRequest) -> HttpResponse:
    """What each plan unlocks, and what it costs."""
    return _plans(request)


@paid
@require_POST
def checkout(request: HttpRequest) -> HttpResponse:
    """Write the wish down; it is committed before Stripe hears of it."""
    viewer = viewer_of(request)
    organization, user = access_organization(viewer), _buyer(request)
    form = WishForm(request.POST)
    if not form.is_valid():
        return _plans(request, problem=_("Choose a plan and a currency."))
    try:
        attempt = buying.wish(organization, user, form.cleaned_data["price"], form.cleaned_data["currency"])
    except BillingError as error:
        return _plans(request, problem=str(error), status=422 if error.permanent else 503)
    return redirect("billing:order", key=attempt.key)


@paid
@require_http_methods(GET_AND_POST)
def order(request: HttpRequest, key: UUID) -> HttpResponse:
    """Show what is about to be bought; lead to the payment page."""
    attempt, user = access_attempt(viewer_of(request), key), _buyer(request)
    if attempt.state != CheckoutAttempt.State.OPEN:
        return redirect("billing:return")
    if request.method != "POST":
        return _order(request, attempt)
    done = request.build_absolute_uri(reverse("billing:return")) + "?session_id={CHECKOUT_SESSION_ID}"
    back = request.build_absolute_uri(reverse("billing:plans"))
    try:
        return redirect(buying.open_session(attempt, user, back, done))
    except BillingError as error:
        if not error.permanent:
            return _order(request, attempt, problem=str(error))
        buying.withdraw_closed(attempt)
        messages.error(request, str(error))
        return redirect("billing:overview")


@paid
@require_GET
def returned(request: HttpRequest) -> HttpResponse:
    """After the payment page: says what is known, and looks again until Stripe has confirmed it."""
    row = access_subscription(viewer_of(request))
    text = request.GET.get("look", "0")
    look = int(text) if text.isdecimal() and len(text) < 4 else 0
    arrived = row is not None and row.is_live
    context = {"subscription": row, "arrived": arrived, "gave_up": look >= WAITS}
    response = _page(request, "billing/return.html", context)
    if not arrived and look < WAITS:
        response["Refresh"] = f"{WAIT_S}; url={reverse('billing:return')}?look={look + 1}"
    return response


@paid
@require_POST
def refresh(request: HttpRequest) -> HttpResponse:
    """Read the subscription from Stripe now."""
    viewer = viewer_of(request)
    organization, _user = access_organization(viewer), _buyer(request)
    try:
        row = sync(organization.pk, "page")
    except BillingError as error:
        return _overview(request, problem=error)
    if row is None:
        messages.info(request, _("The payment provider knows of no purchase by your organization."))
    return redirect("billing:overview")


@paid
@require_http_methods(GET_AND_POST)
def change_plan(request: HttpRequest) -> HttpResponse:
    """Preview a change to the cent; make it when it is confirmed."""
    row, user = _live(request), _buyer(request)
    form = ChangeForm(request.POST or None)
    try:
        if form.is_valid():
            changed = changing.change(row, form.cleaned_data["token"], user)
            messages.success(request, _("Your organization is on %s now.") % changed.facts.plan.title())
            return redirect("billing:overview")
        quote = changing.quote(row, request.GET.get("price", ""))
    except BillingError as error:
        return _plans(request, problem=str(error), status=422 if error.permanent else 503)
    return _page(request, "billing/change.html", {"quote": quote, "subscription": row})


@paid
@require_http_methods(GET_AND_POST)
def cancel(request: HttpRequest) -> HttpResponse:
    """Ask once, then cancel for the end of the paid period."""
    row, user = _live(request), _buyer(request)
    if request.method != "POST":
        return _page(request, "billing/cancel.html", {"subscription": row})
    return _end(request, row, user, ending=True)


@paid
@require_POST
def resume(request: HttpRequest) -> HttpResponse:
    """Take a cancellation back."""
    return _end(request, _live(request), _buyer(request), ending=False)


@paid
@require_GET
def invoices(request: HttpRequest) -> HttpResponse:
    """What was charged, with the documents."""
    _buyer(request)
    customer, problem = access_customer(viewer_of(request)), None
    try:
        rows = invoices_of(customer) if customer else []
    except BillingError as error:
        rows, problem = [], error
    return _page(request, "billing/invoices.html", {"rows": rows, "problem": problem}, status=503 if problem else 200)


@paid
@require_POST
def portal(request: HttpRequest) -> HttpResponse:
    """Lead to Stripe's page for cards, addresses and tax ids."""
    _buyer(request)
    customer = access_customer(viewer_of(request))
    if customer is None:
        raise Http404
    back = request.build_absolute_uri(reverse("billing:overview"))
    try:
        with speaking("portal"):
            made = client().v1.billing_portal.sessions.create({"customer": customer.stripe_id, "return_url": back})
    except BillingError as error:
        return _overview(request, problem=error)
    return redirect(made.url)


def _page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """A page of ours; where the sandbox answers in Stripe's place, it says so."""
    return render(request, template, {**context, "sandbox": enabled() and is_sandbox()}, status=status)


def _buyer(request: HttpRequest) -> User:
    """The person, if they may act for the organization's money: owners and admins."""
    if not viewer_of(request).may_manage or not isinstance(request.user, User):
        raise PermissionDenied("only owners and admins of the organization may buy or change a plan")
    return request.user


def _live(request: HttpRequest) -> Subscription:
    row = access_subscription(viewer_of(request))
    if row is None or not row.is_live:
        raise Http404
    return row


def _end(request: HttpRequest, row: Subscription, user: User, *, ending: bool) -> HttpResponse:
    try:
        changed = changing.set_ending(row, user, ending=ending)
    except BillingError as error:
        return _overview(request, problem=error)
    if changed.cancel_at_period_end and changed.period_end:
        messages.success(
            request, _("Cancelled. Your plan stays until %s.") % f"{changed.period_end:%Y-%m-%d %H:%M} UTC"
        )
    elif not changed.cancel_at_period_end:
        messages.success(request, _("Your plan goes on."))
    return redirect("billing:overview")


def _overview(request: HttpRequest, problem: BillingError | None = None) -> HttpResponse:
    viewer = viewer_of(request)
    row = access_subscription(viewer)
    context = {
        "subscription": row,
        "cost": money(row.amount * row.quantity, row.currency) if row else "",
        "due": row.entitlement(wall_now()) if row else None,
        "notice": notice_of(row),
        "customer": access_customer(viewer),
        "usage": access_usage(viewer),
        "problem": problem,
    }
    status = 200 if problem is None else 422 if problem.permanent else 503
    return _page(request, "billing/overview.html", context, status=status)


def _plans(request: HttpRequest, *, problem: str = "", status: int = 422) -> HttpResponse:
    viewer = viewer_of(request)
    row, customer = access_subscription(viewer), access_customer(viewer)
    context: dict[str, Any] = {"subscription": row, "problem": problem, "away": ""}
    try:
        catalogue = read_catalogue()
    except BillingError as error:
        catalogue, context["away"] = None, str(error)
    context |= offers.choices(catalogue, viewer.plan, row, customer, request.GET)
    return _page(request, "billing/plans.html", context, status=status if problem else 200)


def _order(request: HttpRequest, attempt: CheckoutAttempt, problem: str = "") -> HttpResponse:
    try:
        price = read_catalogue().price(attempt.lookup_key)
    except BillingError as error:
        price, problem = None, problem or str(error)
    context = {
        "attempt": attempt,
        "price": price,
        "cost": price.text(attempt.currency) if price else "",
        "trial_days": offers.trial_days(access_subscription(viewer_of(request))),
        "problem": problem,
    }
    response = _page(request, "billing/order.html", context, status=503 if problem else 200)
    if problem:
        response["Retry-After"] = str(RETRY_AFTER_S)
    return response
