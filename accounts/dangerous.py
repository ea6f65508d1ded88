"""What an operator does to people and tenants: each act previewed, confirmed by a typed name, recorded, and undone."""

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.audit import record
from accounts.erasing import end_sessions
from accounts.errors import ConsoleError, ImpersonationError, PlanError
from accounts.events import membership_changed
from accounts.forms import DangerForm, PlanForm, ReasonForm
from accounts.impersonating import LASTS, start_impersonation
from accounts.models import Membership, Organization, User
from accounts.pages import user_of
from accounts.planning import change_plan
from accounts.plans import PLANS, Plan, plan_of
from accounts.scoping import scope_to


@dataclass(frozen=True, slots=True)
class Danger:
    """One act before it is confirmed.

    Args:
        title: what it is called.
        effects: what will happen, a sentence each.
        undo: how it is taken back.
        back: address of the page it was asked on.
        perform: does it; the confirmed form's values are handed on.
    """

    title: str
    effects: list[str]
    undo: str
    back: str
    perform: Callable[[dict[str, str]], None]


def confirm(request: HttpRequest, danger: Danger, form: DangerForm, done: str = "") -> HttpResponse:
    """Show what would happen; do it once the name was typed. `done` is where to go then."""
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                danger.perform(form.cleaned_data)
        except (ConsoleError, PlanError, ImpersonationError) as error:
            form.add_error(None, str(error))
        else:
            return redirect(done or danger.back)
    status = 422 if form.errors else 200
    return render(request, "accounts/confirm.html", {"danger": danger, "form": form}, status=status)


# ---- people


def switch_off(user: User, by: User) -> None:
    """End a person's access: sign-in, sessions, sockets.

    Raises:
        ConsoleError: an operator would switch off themselves.
    """
    if user.pk == by.pk:
        raise ConsoleError(_("You cannot switch yourself off."))
    _set(user, by, "user.switched_off", is_active=False)
    end_sessions(user.pk)


def switch_on(user: User, by: User) -> None:
    """Let a person sign in again.

    Raises:
        ConsoleError: the account was erased.
    """
    if user.erased_at is not None:
        raise ConsoleError(_("This account was erased: nobody can use it again."))
    _set(user, by, "user.switched_on", is_active=True)


def make_operator(user: User, by: User) -> None:
    """Give a person the console.

    Raises:
        ConsoleError: the account is switched off.
    """
    if not user.is_active:
        raise ConsoleError(_("A switched-off account cannot become an operator."))
    _set(user, by, "user.made_operator", is_staff=True, is_superuser=True)


def end_operator(user: User, by: User) -> None:
    """Take the console from a person.

    Raises:
        ConsoleError: an operator would do it to themselves.
    """
    if user.pk == by.pk:
        raise ConsoleError(_("Another operator has to do this to you."))
    _set(user, by, "user.no_operator", is_staff=False, is_superuser=False)
    end_sessions(user.pk)


def _set(user: User, by: User, action: str, **flags: bool) -> None:
    before = ", ".join(f"{name}={getattr(user, name)}" for name in flags)
    for name, value in flags.items():
        setattr(user, name, value)
    user.save(update_fields=list(flags))
    after = ", ".join(f"{name}={value}" for name, value in flags.items())
    record(action, user=by, of=user.pk, before=before, after=after)
    membership_changed.send(Membership, organization_id=None, user_id=user.pk)


Act = Callable[[User, User], None]


def person_page(
    request: HttpRequest, user: User, back: str, act: Act, words: tuple[str, list[str], str]
) -> HttpResponse:
    """Confirm one of the acts above; `words` are title, effects and the way back."""
    operator = user_of(request)
    danger = Danger(*words, back=back, perform=lambda _values: act(user, operator))
    return confirm(request, danger, DangerForm(user.email, request.POST if request.method == "POST" else None))


def impersonation_page(request: HttpRequest, user: User, back: str) -> HttpResponse:
    """Ask for a reason, then show the platform as the person sees it."""
    operator, session = user_of(request), request.session
    effects = [
        _("You see what %(email)s sees, to read only, for %(minutes)d minutes.")
        % {"email": user.email, "minutes": LASTS.seconds // 60},
        _("Your reason is kept in the audit log, also in the one that the person's organization reads."),
    ]
    danger = Danger(
        _("See Candor as %(email)s") % {"email": user.email},
        effects,
        _("The banner on every page has a button that ends it."),
        back,
        lambda values: _start(session, operator, user, values["reason"]),
    )
    return confirm(request, danger, ReasonForm(user.email, request.POST if request.method == "POST" else None), "/")


def _start(session: SessionBase, operator: User, user: User, reason: str) -> None:
    start_impersonation(session, operator, user, reason)


# ---- tenants


def plan_page(request: HttpRequest, organization: Organization, back: str) -> HttpResponse:
    """Put an organization on another plan, after a look at what that takes away."""
    operator = user_of(request)
    with scope_to(organization.pk):
        members = Membership.objects.count()
    present = plan_of(organization.plan)

    def perform(values: dict[str, str]) -> None:
        with scope_to(organization.pk):
            change_plan(organization, values["plan"], by=operator)

    danger = Danger(
        _("Change the plan of %(name)s") % {"name": organization.name},
        [_plan_line(plan, members) for plan in PLANS.values()],
        _("Change it back to %(plan)s on this page.") % {"plan": present.title},
        back,
        perform,
    )
    form = PlanForm(
        organization.name, request.POST if request.method == "POST" else None, initial={"plan": present.key}
    )
    return confirm(request, danger, form)


def _plan_line(plan: Plan, members: int) -> str:
    words = {"title": plan.title, "delay": plan.delay_s // 60, "seats": plan.seats}
    line = _("%(title)s: signals %(delay)d minutes late, %(seats)d seats.") % words
    if members > plan.seats:
        line += " " + _("It has %(members)d members: nobody is removed, and nobody can be invited.") % {
            "members": members
        }
    return line
