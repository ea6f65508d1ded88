"""One act of billing at a time for each organization."""

from typing import Final

from django.db import connection

_LOCK: Final = 0x42494C4C  # "BILL"


def one_at_a_time(organization_id: int) -> None:
    """Wait for other acts of billing of this organization; held until the transaction ends.

    Taken before any row is locked. It is no row's lock, because calls to Stripe are made under it, and an invitation
    should not wait for them.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, organization_id % 2**31])
