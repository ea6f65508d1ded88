"""An organization that asks its members for a second factor."""

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.audit import record
from accounts.errors import MembershipError
from accounts.events import membership_changed
from accounts.identity.factors import has_mfa
from accounts.models import Membership, Organization, User


def require_mfa(organization: Organization, required: bool, by: User) -> None:
    """Ask every member of the entered organization for a second factor, or stop asking.

    Raises:
        MembershipError: who asks for it has none, and would lock themselves out.
    """
    if required and not has_mfa(by):
        raise MembershipError(_("Set up your own second factor first: you would lock yourself out."))
    with transaction.atomic():
        before, organization.requires_mfa = organization.requires_mfa, required
        if before == required:
            return
        organization.save(update_fields=["requires_mfa"])
        record("organization.mfa", user=by, organization_id=organization.pk, before=before, after=required)
        for user_id in Membership.objects.filter(organization=organization).values_list("user_id", flat=True):
            membership_changed.send(Organization, organization_id=organization.pk, user_id=user_id)
