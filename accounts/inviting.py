"""From an invitation by mail to a membership."""

import hashlib
import secrets
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django_scopes import scopes_disabled

from accounts.audit import record
from accounts.errors import MembershipError
from accounts.events import membership_changed
from accounts.limits import Limit, PlanLimit, check
from accounts.models import Invitation, Membership, Organization, Role, User
from accounts.plans import plan_of
from accounts.scoping import acting_as, scope_to
from lib.clock import wall_now
from lib.transactions import on_commit

LASTS = timedelta(days=7)


def token_hash(token: str) -> str:
    """What is stored of a token; 256 random bits need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def invite(organization: Organization, inviter: User, email: str, role: Role, link: str) -> Invitation:
    """Invite an address, in place of an open invitation to it, and mail the link after commit.

    Args:
        organization: the one whose scope is entered.
        inviter: who is named in the mail.
        email: where it goes; the account that accepts must have this address.
        role: what the invited person becomes.
        link: absolute address of the page that accepts, with `{token}` where the token goes.

    Raises:
        MembershipError: the address is a member already, or the plan has no free seat.
    """
    email = email.strip().lower()
    with transaction.atomic():
        Organization.objects.select_for_update().get(pk=organization.pk)  # two invitations must not share the last seat
        Invitation.objects.filter(email=email, accepted_at__isnull=True).delete()
        _check_seat(organization, email)
        token = secrets.token_urlsafe(32)
        invitation = Invitation.objects.create(
            organization=organization,
            email=email,
            role=role,
            token_hash=token_hash(token),
            invited_by=inviter,
            expires_at=wall_now() + LASTS,
        )
        _record("member.invited", invitation, inviter, role=role.value)
        _mail(invitation, inviter, link.replace("{token}", token))
    return invitation


def _record(action: str, invitation: Invitation, user: User, **details: str) -> None:
    personal, place = {"email": invitation.email}, invitation.organization_id
    record(action, user=user, organization_id=place, personal=personal, invitation=invitation.pk, **details)


def _check_seat(organization: Organization, email: str) -> None:
    if Membership.objects.filter(user__email=email).exists():
        raise MembershipError(_("%(email)s is a member already.") % {"email": email})
    try:
        check(plan_of(organization.plan), Limit.SEATS, taken_seats())
    except PlanLimit as error:
        raise MembershipError(str(error)) from error


def taken_seats() -> int:
    """Members and open invitations of the entered organization."""
    return Membership.objects.count() + Invitation.objects.filter(accepted_at__isnull=True).count()


def seats_of(organization: Organization) -> tuple[int, int]:
    """Taken seats of the entered organization, and how many its plan has."""
    return taken_seats(), plan_of(organization.plan).seats


def _mail(invitation: Invitation, inviter: User, url: str) -> None:
    context = {"invitation": invitation, "inviter": inviter, "url": url, "days": LASTS.days}
    subject = _("Candor: %(who)s invites you to %(organization)s")
    names = {"who": inviter.name or inviter.email, "organization": invitation.organization.name}
    line = " ".join((subject % names).split())
    message = EmailMessage(line, render_to_string("accounts/email/invitation.txt", context), to=[invitation.email])
    on_commit(lambda: _send(message))


def _send(message: EmailMessage) -> None:
    message.send()


def find_invitation(user: User, token: str) -> Invitation | None:
    """The open invitation with this token, if it was sent to this user's own address; its organization is loaded."""
    with acting_as(user.pk), scopes_disabled():
        found = Invitation.objects.filter(token_hash=token_hash(token), email=user.email).first()
    if found is None or not found.is_open(wall_now()):
        return None
    with scope_to(found.organization_id):  # whoever holds the token may know who invites them
        found.organization = Organization.objects.get(pk=found.organization_id)
    return found


def accept_invitation(user: User, token: str) -> Membership | None:
    """Make the user a member and close the invitation; None where there is no such open invitation for them.

    The token came by mail, so its address is now known to be the user's.
    """
    invitation = find_invitation(user, token)
    if invitation is None:
        return None
    organization_id = invitation.organization_id
    with transaction.atomic(), scope_to(organization_id):
        open_still = Invitation.objects.filter(pk=invitation.pk, accepted_at__isnull=True)
        if not open_still.update(accepted_at=wall_now()):
            return None
        membership, _made = Membership.objects.get_or_create(
            organization_id=organization_id, user=user, defaults={"role": invitation.role}
        )
        EmailAddress.objects.filter(user=user, email=invitation.email).update(verified=True)
        _record("member.joined", invitation, user, role=membership.role)
        membership_changed.send(Membership, organization_id=organization_id, user_id=user.pk)
    return membership


def withdraw_invitation(invitation: Invitation, user: User) -> None:
    """Make an open invitation's link worthless."""
    with transaction.atomic():
        _record("member.uninvited", invitation, user)
        invitation.delete()
