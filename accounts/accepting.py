"""The terms and the risk disclaimer, accepted by version."""

from django.conf import settings
from django.db import transaction

from accounts.audit import record
from accounts.events import membership_changed
from accounts.models import Acceptance, User
from accounts.scoping import acting_as


def accept_terms(user: User, ip: str | None) -> Acceptance:
    """Store that the user accepted the present version; a second time changes nothing."""
    with transaction.atomic(), acting_as(user.pk):
        acceptance, new = Acceptance.objects.get_or_create(
            user=user, version=settings.TERMS_VERSION, defaults={"ip": ip}
        )
        if new:
            record("terms.accepted", user=user, version=settings.TERMS_VERSION)
            membership_changed.send(Acceptance, organization_id=None, user_id=user.pk)
    return acceptance
