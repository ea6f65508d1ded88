"""Billing periods: a subscription's periods all start a whole number of intervals after its anchor (pure).

Counting from the anchor, not from the last period, is what brings a subscription of the 31st back to the 31st after
February (docs.stripe.com/billing/subscriptions/billing-cycle).
"""

import calendar
from datetime import UTC, datetime, timedelta

DAY_S = 86_400
STEP_DAYS = {"day": 1, "week": 7}
STEP_MONTHS = {"month": 1, "year": 12}


def add_months(at: datetime, months: int) -> datetime:
    """The same day and time `months` later, or the last day of a shorter month."""
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, calendar.monthrange(year, month + 1)[1]))


def boundary(anchor: int, interval: str, count: int, number: int) -> int:
    """Start of period `number` (0 is the anchor itself; negative ones lie before it), epoch seconds."""
    at = datetime.fromtimestamp(anchor, UTC)
    if interval in STEP_DAYS:
        return int((at + timedelta(days=STEP_DAYS[interval] * count * number)).timestamp())
    return int(add_months(at, STEP_MONTHS[interval] * count * number).timestamp())


def next_boundary(anchor: int, interval: str, count: int, after: int) -> int:
    """The first boundary later than `after`, epoch seconds."""
    longest = {"day": 1, "week": 7, "month": 31, "year": 366}[interval] * count * DAY_S
    number = (after - anchor) // longest  # never beyond the wanted one, because no interval is longer
    while boundary(anchor, interval, count, number) <= after:
        number += 1
    while boundary(anchor, interval, count, number - 1) > after:
        number -= 1
    return boundary(anchor, interval, count, number)
