"""Closing an account or an organization: asked for, undone within the days of grace, carried out when they are over."""

from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module

import structlog
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import DatabaseError, transaction
from django.utils.translation import gettext as _
from django_scopes import scopes_disabled

from accounts.audit import operator_work, record
from accounts.errors import PrivacyError
from accounts.events import membership_changed, organization_erasing, person_erasing, sessions_ended
from accounts.exporting import Erasure, exported
from accounts.mailing import mail_later
from accounts.models import Acceptance, AuditEntry, Membership, Organization, Role, User
from accounts.plans import FREE
from accounts.scoping import acting_as, scope_to
from lib.clock import wall_now
from lib.errors import CandorError

log = structlog.get_logger(__name__)


def grace() -> timedelta:
    """How long an erasure can be undone."""
    return timedelta(days=settings.ERASURE_GRACE_DAYS)


def kept_back_by(user: User) -> list[Organization]:
    """Organizations that would be left with members and without an owner; call it inside `acting_as(user)`."""
    with scopes_disabled():
        owned = [row.organization for row in _places(user) if row.role == Role.OWNER]
    return [
        organization for organization in owned if _others(organization, user) and not _other_owners(organization, user)
    ]


def _places(user: User) -> list[Membership]:
    return list(Membership.objects.filter(user=user).select_related("organization").order_by("pk"))


def _others(organization: Organization, user: User) -> bool:
    with scope_to(organization.pk):
        return Membership.objects.exclude(user=user).exists()


def _other_owners(organization: Organization, user: User) -> bool:
    with scope_to(organization.pk):
        return Membership.objects.filter(role=Role.OWNER).exclude(user=user).exists()


def close_account(user: User, link: str) -> datetime:
    """Ask for one's own erasure; returns when it will be.

    Raises:
        PrivacyError: the person is the only owner of an organization that others belong to, or an operator.
    """
    if user.is_staff:
        raise PrivacyError(_("Operators are switched off by another operator before their account can be closed."))
    with transaction.atomic(), acting_as(user.pk):
        if kept := kept_back_by(user):
            names = ", ".join(organization.name for organization in kept)
            text = _("You are the only owner of %(names)s, which others belong to: hand it over or close it first.")
            raise PrivacyError(text % {"names": names})
        user.erase_at = wall_now() + grace()
        user.save(update_fields=["erase_at"])
        record("account.closing", user=user, at=user.erase_at.isoformat())
        mail_later(user.email, _("your account will be erased"), "closing_account", at=user.erase_at, link=link)
    return user.erase_at


def keep_account(user: User) -> None:
    """Undo the request."""
    with transaction.atomic(), acting_as(user.pk):
        user.erase_at = None
        user.save(update_fields=["erase_at"])
        record("account.kept", user=user)
        mail_later(user.email, _("your account stays"), "kept", what=user.email)


def close_organization(organization: Organization, by: User, link: str) -> datetime:
    """Ask for the erasure of the entered organization; all its owners and admins are told. Returns when it will be."""
    with transaction.atomic():
        at = wall_now() + grace()
        _set_date(organization, at)
        record("organization.closing", user=by, organization_id=organization.pk, at=at.isoformat())
        subject = _("%(name)s will be erased") % {"name": organization.name}
        for email in _managing(organization):
            mail_later(email, subject, "closing_organization", organization=organization, by=by, at=at, link=link)
    return at


def keep_organization(organization: Organization, by: User) -> None:
    """Undo the request."""
    with transaction.atomic():
        _set_date(organization, None)
        record("organization.kept", user=by, organization_id=organization.pk)
        for email in _managing(organization):
            mail_later(email, _("%(name)s stays") % {"name": organization.name}, "kept", what=organization.name)


def _set_date(organization: Organization, at: datetime | None) -> None:
    organization.erase_at = at
    organization.save(update_fields=["erase_at"])


def _managing(organization: Organization) -> list[str]:
    places = Membership.objects.filter(organization=organization, role__in=[Role.OWNER, Role.ADMIN])
    return list(places.order_by("pk").values_list("user__email", flat=True))


# ---- carried out


def erase_due() -> int:
    """Erase what is due, each in a transaction of its own; number of people and organizations erased."""
    now, done = wall_now(), 0
    with operator_work("task:erasure", "look for what is to be erased today"):
        organizations = list(Organization.objects.filter(erase_at__lte=now).values_list("pk", flat=True))
    people = list(User.objects.filter(erase_at__lte=now).values_list("pk", flat=True))
    for pk in organizations:
        done += _try(f"organization {pk}", _erase_organization_if_due, pk, now)
    for pk in people:
        done += _try(f"person {pk}", _erase_person_if_due, pk, now)
    return done


def _try(what: str, erase: Callable[[int, datetime], bool], pk: int, now: datetime) -> bool:
    """One erasure, whole or not at all; one that fails is tried again by the next task and does not stop the others."""
    try:
        with operator_work("task:erasure", f"erase {what}"):
            return erase(pk, now)
    except (DatabaseError, CandorError) as error:
        log.exception("an erasure failed and will be tried again", what=what, error=type(error).__name__)
        return False


def _erase_organization_if_due(pk: int, now: datetime) -> bool:
    found = Organization.objects.select_for_update().filter(pk=pk, erase_at__lte=now).first()
    if found is not None:
        erase_organization(found)
    return found is not None


def erase_organization(organization: Organization) -> None:
    """Erase one, inside operator work: its rows go, its audit chain stays without what names anybody."""
    pk = organization.pk
    organization_erasing.send(Organization, organization_id=pk)
    people = list(Membership.objects.filter(organization=organization).values_list("user_id", flat=True))
    for model, entry in exported():
        if entry.organization and entry.erase == Erasure.DELETE:
            model._default_manager.filter(**{entry.organization: pk}).delete()
    AuditEntry.objects.filter(organization_id=pk).update(ip=None, personal={}, salt="")
    organization.name, organization.plan = f"erased-{pk}", FREE.key
    organization.erase_at, organization.erased_at = None, wall_now()
    organization.save(update_fields=["name", "plan", "erase_at", "erased_at"])
    record("organization.erased", organization_id=pk, actor="task:erasure", members=len(people))
    for user_id in people:
        membership_changed.send(Membership, organization_id=pk, user_id=user_id)


def _erase_person_if_due(pk: int, now: datetime) -> bool:
    user = User.objects.select_for_update().filter(pk=pk, erase_at__lte=now).first()
    if user is None:
        return False
    if kept := kept_back_by(user):
        _postpone(user, kept)
        return False
    for place in _places(user):
        if place.role == Role.OWNER and not _others(place.organization, user):
            erase_organization(place.organization)
    erase_person(user)
    return True


def _postpone(user: User, kept: list[Organization]) -> None:
    """Somebody became its only owner meanwhile: nothing is erased, and they are asked to hand it over."""
    user.erase_at = None
    user.save(update_fields=["erase_at"])
    record("account.kept", user=user, reason="only owner of an organization with other members")
    names = ", ".join(organization.name for organization in kept)
    mail_later(user.email, _("your account was not erased"), "not_erased", names=names)
    log.warning("a person was not erased: only owner of an organization with others", user=user.pk)


def erase_person(user: User) -> None:
    """Erase one, inside operator work: rows go, sessions end, and the row that others refer to names nobody."""
    pk, email = user.pk, user.email
    person_erasing.send(User, user_id=pk)
    places = [row.organization_id for row in _places(user)]
    for model, entry in exported():
        path, value = (entry.person, pk) if entry.person else (entry.person_email, email)
        if path and entry.erase == Erasure.DELETE:
            model._default_manager.filter(**{path: value}).delete()
    _forget_in_records(pk, email)
    end_sessions(pk)
    user.email, user.name = f"erased-{pk}@invalid", ""
    user.is_active = user.is_staff = user.is_superuser = False
    user.last_login, user.erase_at, user.erased_at = None, None, wall_now()
    user.set_unusable_password()
    user.save()
    record("account.erased", user=user, actor="task:erasure")
    for organization_id in places:
        membership_changed.send(Membership, organization_id=organization_id, user_id=pk)


def _forget_in_records(pk: int, email: str) -> None:
    """Take the person out of rows that stay; the audit chain holds only a digest of what goes."""
    AuditEntry.objects.filter(user_id=pk).update(ip=None, personal={}, salt="")
    AuditEntry.objects.filter(personal__email=email).update(ip=None, personal={}, salt="")
    AuditEntry.objects.filter(personal__member=email).update(ip=None, personal={}, salt="")
    Acceptance.objects.filter(user_id=pk).update(ip=None)
    about = LogEntry.objects.filter(content_type__app_label="accounts", content_type__model="user", object_id=str(pk))
    about.update(object_repr=f"erased person {pk}", change_message="")


def end_sessions(user_id: int) -> int:
    """Delete every session of a person, also one that no list knows, and close the sockets; number of sessions."""
    store, ended = import_module(settings.SESSION_ENGINE).SessionStore, 0
    for session in Session.objects.filter(expire_date__gt=wall_now()).iterator():
        if store().decode(session.session_data).get(SESSION_KEY) == str(user_id):
            session.delete()
            ended += 1
    UserSession.objects.filter(user_id=user_id).delete()
    sessions_ended.send(UserSession, user_id=user_id)
    return ended
