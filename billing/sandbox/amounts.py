"""Money in whole minor units: discounts, proration, totals (pure).

Proration to the second, as docs.stripe.com/billing/subscriptions/prorations describes it: at moment `t` inside a period
that runs from `s` to `e`, what is unused of an amount `a` is worth

    a · (e − t) / (e − s)

rounded half up on its absolute value, once for each line; `a` is what the whole period costs after discounts. The
credit of what was had and the debit of what comes use the same `t`, so that a change and its reverse in the same
second cancel to zero.
"""

from dataclasses import dataclass

WHOLE = 10_000  # a percentage in hundredths of a percent: 12.5 % is 1250


def rounded(above: int, below: int) -> int:
    """`above / below` to the nearest whole, halves away from zero."""
    whole = (2 * abs(above) + below) // (2 * below)
    return whole if above >= 0 else -whole


def hundredths(percent: float | None) -> int:
    """A percentage as whole hundredths of a percent."""
    return round((percent or 0) * 100)


def less_percent(amount: int, percent_off: int) -> int:
    """`amount` after `percent_off` hundredths of a percent are taken off."""
    return amount - rounded(amount * percent_off, WHOLE)


def unused(amount: int, start: int, end: int, at: int) -> int:
    """What the part after `at` of a period from `start` to `end` is worth, of the amount of the whole period."""
    if not start <= at <= end or start == end:
        raise ValueError(f"{at} is outside the period {start} to {end}")
    return rounded(amount * (end - at), end - start)


@dataclass(frozen=True, slots=True)
class Totals:
    """What an invoice comes to, with the customer's balance (negative: in the customer's favour)."""

    subtotal: int
    discount: int
    total: int
    starting_balance: int
    amount_due: int
    ending_balance: int


def totals(lines: list[tuple[int, bool]], percent_off: int, amount_off: int, balance: int) -> Totals:
    """Add up lines of (amount, discountable); a percentage is rounded on each line, an amount taken off their sum."""
    subtotal = sum(amount for amount, _ in lines)
    base = sum(amount for amount, discountable in lines if discountable)
    by_percent = sum(rounded(amount * percent_off, WHOLE) for amount, discountable in lines if discountable)
    discount = by_percent + min(amount_off, max(base - by_percent, 0))
    total = subtotal - discount
    after = total + balance
    return Totals(subtotal, discount, total, balance, max(after, 0), min(after, 0))
