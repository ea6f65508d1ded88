"""A new organization and its first owner."""

from django.db import connection, transaction

from accounts.audit import record
from accounts.models import Membership, Organization, Role, User, default_plan
from accounts.scoping import acting_as, scope_to


def found_organization(user: User, name: str, plan: str = "") -> Organization:
    """Make an organization with `user` as its owner.

    Its id is drawn first, because both walls let a row in only for the organization that has been entered.
    """
    with transaction.atomic(), acting_as(user.pk):
        organization_id = _next_id()
        with scope_to(organization_id):
            organization = Organization(pk=organization_id, name=name, plan=plan or default_plan())
            organization.save(force_insert=True)
            Membership.objects.create(organization=organization, user=user, role=Role.OWNER)
            record("organization.founded", user=user, organization_id=organization_id, personal={"name": name})
    return organization


def _next_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('accounts_organization', 'id'))")
        (number,) = cursor.fetchall()[0]
    return int(number)
