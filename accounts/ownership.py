"""Who owns an organization, and how many one person may own."""

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django_scopes import scopes_disabled

from accounts.audit import record
from accounts.errors import MembershipError
from accounts.events import membership_changed
from accounts.founding import found_organization
from accounts.mailing import mail_later
from accounts.models import Membership, Organization, Role, User
from accounts.scoping import acting_as


def owned_by(user: User) -> int:
    """How many organizations the person owns; call it inside `acting_as(user)`."""
    with scopes_disabled():
        return Membership.objects.filter(user=user, role=Role.OWNER).count()


def found_another(user: User, name: str) -> Organization:
    """Found one more organization.

    Raises:
        MembershipError: the person owns as many as one person may.
    """
    with transaction.atomic(), acting_as(user.pk):
        User.objects.select_for_update().get(pk=user.pk)  # two at once must not both be the last one allowed
        most = settings.ORGANIZATIONS_PER_PERSON
        if owned_by(user) >= most:
            text = ngettext(
                "One person can own %(most)d organization: hand one over or close it first.",
                "One person can own %(most)d organizations: hand one over or close it first.",
                most,
            )
            raise MembershipError(text % {"most": most})
        return found_organization(user, name)


def transfer_ownership(heir: Membership, by: Membership) -> None:
    """Make a member the owner in one's own place; the old owner stays as an admin, and both are told by mail.

    Raises:
        MembershipError: who hands over is no owner, or hands over to themselves.
    """
    with transaction.atomic():
        both = {row.pk: row for row in Membership.objects.select_for_update().filter(pk__in=[heir.pk, by.pk])}
        if by.pk not in both or both[by.pk].role != Role.OWNER:
            raise MembershipError(_("Only an owner can hand an organization over."))
        if heir.pk not in both or heir.pk == by.pk:
            raise MembershipError(_("Choose another member of the organization."))
        _set_role(both[heir.pk], Role.OWNER)
        _set_role(both[by.pk], Role.ADMIN)
        record(
            "ownership.transferred",
            user=by.user,
            organization_id=by.organization_id,
            before=by.user_id,
            after=heir.user_id,
        )
        _tell(heir, by)


def _set_role(membership: Membership, role: Role) -> None:
    membership.role = role
    membership.save(update_fields=["role"])
    facts = {"organization_id": membership.organization_id, "user_id": membership.user_id}
    membership_changed.send(Membership, **facts)


def _tell(heir: Membership, by: Membership) -> None:
    organization = Organization.objects.get(pk=by.organization_id)
    subject = _("%(organization)s has another owner") % {"organization": organization.name}
    for person in (heir.user, by.user):
        mail_later(person.email, subject, "ownership", organization=organization, heir=heir.user, before=by.user)
