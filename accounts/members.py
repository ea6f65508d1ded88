"""Changes of an organization: its name, who belongs to it, and as what."""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.audit import record
from accounts.errors import MembershipError
from accounts.events import membership_changed
from accounts.models import Membership, Organization, Role, User


def change_role(membership: Membership, role: Role, by: Membership) -> None:
    """Give a member another role.

    Raises:
        MembershipError: an admin touches or makes an owner, or the last owner would step down.
    """
    with transaction.atomic():
        owners = _owners(membership)
        if Role.OWNER in {Role(membership.role), role} and by.role != Role.OWNER:
            raise MembershipError(_("Only an owner may make or change owners."))
        if role != Role.OWNER:
            _keep_an_owner(membership, owners)
        before, membership.role = membership.role, role
        membership.save(update_fields=["role"])
        _tell("member.role_changed", membership, by.user, before=before, after=role.value)


def remove_member(membership: Membership, by: Membership) -> None:
    """End a membership; members may end their own.

    Raises:
        MembershipError: an admin removes an owner, or the last owner would go.
    """
    with transaction.atomic():
        owners = _owners(membership)
        if membership.role == Role.OWNER and by.role != Role.OWNER:
            raise MembershipError(_("Only an owner may remove an owner."))
        _keep_an_owner(membership, owners)
        _tell("member.removed", membership, by.user, role=membership.role)
        membership.delete()


def rename_organization(organization: Organization, name: str, by: User) -> None:
    """Give the entered organization another name."""
    with transaction.atomic():
        before, organization.name = organization.name, name
        organization.save(update_fields=["name"])
        personal = {"before": before, "after": name}  # founders are named after people
        record("organization.renamed", user=by, organization_id=organization.pk, personal=personal)


def _owners(membership: Membership) -> set[int]:
    """Keys of the owners, locked: two owners who remove each other at once must not both succeed."""
    owners = Membership.objects.filter(organization_id=membership.organization_id, role=Role.OWNER)
    return set(owners.select_for_update().values_list("pk", flat=True))


def _keep_an_owner(membership: Membership, owners: set[int]) -> None:
    if owners == {membership.pk}:
        raise MembershipError(_("An organization needs an owner: make somebody else an owner first."))


def _tell(action: str, membership: Membership, by: User, **details: Any) -> None:
    record(action, user=by, organization_id=membership.organization_id, member=membership.user_id, **details)
    membership_changed.send(Membership, organization_id=membership.organization_id, user_id=membership.user_id)
