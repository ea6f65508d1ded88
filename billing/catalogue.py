"""What can be bought: Stripe's prices, found by their lookup keys and kept for some minutes."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import stripe
from django.conf import settings
from django.core.cache import cache
from django.utils.translation import gettext as _

from accounts.plans import DESK, FREE, PLANS, PRO, Plan
from billing.errors import BillingError
from billing.gateway import client, speaking

INTERVALS: Final = ("month", "year")
LOOKUP_KEYS: Final = {f"candor_{plan.key}_{interval}": plan for plan in (PRO, DESK) for interval in INTERVALS}
KEPT_S: Final = 300

WHOLE: Final = [
    "bif",
    "clp",
    "djf",
    "gnf",
    "jpy",
    "kmf",
    "krw",
    "mga",
    "pyg",
    "rwf",
    "ugx",
    "vnd",
    "vuv",
    "xaf",
    "xof",
    "xpf",
]
"""Currencies without a smaller unit (https://docs.stripe.com/currencies#zero-decimal)."""
THIRDS: Final = ("bhd", "jod", "kwd", "omr", "tnd")
"""Currencies with three decimals (same page)."""
SIGNS: Final = {"usd": "$", "eur": "€", "gbp": "£"}


@dataclass(frozen=True, slots=True)
class Price:
    """One price: a plan for an interval, in several currencies (amounts in each one's smallest unit)."""

    id: str
    lookup_key: str
    product_id: str
    product: str
    plan_key: str
    interval: str
    currency: str
    amounts: dict[str, int]

    @property
    def plan(self) -> Plan:
        """What it buys."""
        return PLANS[self.plan_key]

    def text(self, currency: str) -> str:
        """What it costs in a currency, as people write it."""
        return money(self.amounts[currency], currency)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The prices on offer."""

    prices: tuple[Price, ...]

    @property
    def currencies(self) -> tuple[str, ...]:
        """Currencies in which everything can be bought, in the order of BILLING_CURRENCIES."""
        return tuple(
            word for word in settings.BILLING_CURRENCIES if all(word in price.amounts for price in self.prices)
        )

    def price(self, lookup_key: str) -> Price:
        """The price of a lookup key; BillingError where nothing is sold under it."""
        found = next((price for price in self.prices if price.lookup_key == lookup_key), None)
        if found is None:
            raise BillingError(_("%r is not sold here: choose a plan from the list.") % lookup_key[:60])
        return found

    def of(self, plan: Plan, interval: str) -> Price | None:
        """The price of a plan for an interval, None where it is not sold."""
        return next((price for price in self.prices if (price.plan, price.interval) == (plan, interval)), None)


def read_catalogue() -> Catalogue:
    """The prices on offer; BillingError where Stripe does not answer and none are kept."""
    key = f"billing:catalogue:{settings.STRIPE_API_BASE}"
    found: Catalogue | None = cache.get(key)
    if found is None:
        found = Catalogue(tuple(_prices()))
        cache.set(key, found, KEPT_S)
    return found


def plan_key_of(price: stripe.Price) -> str:
    """The plan that a subscription's price belongs to.

    A price that was replaced has lost its lookup key to its successor: then its product decides.

    Raises:
        BillingError: the price is of no plan.
    """
    plan = LOOKUP_KEYS.get(price.lookup_key or "")
    if plan is not None:
        return plan.key
    product_id = price.product if isinstance(price.product, str) else price.product.id
    for other in read_catalogue().prices:
        if other.product_id == product_id:
            return other.plan_key
    keys = ", ".join(LOOKUP_KEYS)
    raise BillingError(f"price {price.id!r} is of no plan: give it or its product's newest price one of {keys}")


def decimals(currency: str) -> int:
    """How many decimals a currency's smallest unit stands for."""
    return 0 if currency in WHOLE else 3 if currency in THIRDS else 2


def money(amount: int, currency: str) -> str:
    """An amount in the currency's smallest unit as people write it: `$29.00`, `−€4.50`, `JPY 3,200`."""
    value = Decimal(abs(amount)).scaleb(-decimals(currency))
    sign = SIGNS.get(currency) or f"{currency.upper()} "
    return f"{'−' if amount < 0 else ''}{sign}{value:,.{decimals(currency)}f}"


def _prices() -> list[Price]:
    with speaking("prices"):
        found = client().v1.prices.list(
            {
                "lookup_keys": list(LOOKUP_KEYS),
                "active": True,
                "expand": ["data.product", "data.currency_options"],
                "limit": 100,
            }
        )
    prices = [_price(price) for price in found.data if price.lookup_key in LOOKUP_KEYS and price.recurring]
    return sorted(prices, key=lambda price: (list(PLANS).index(price.plan_key), INTERVALS.index(price.interval)))


def _price(price: stripe.Price) -> Price:
    lookup_key = price.lookup_key or ""
    product = price.product
    amounts = {price.currency: price.unit_amount or 0}
    options = getattr(price, "currency_options", None)
    for currency, option in (options.to_dict() if options else {}).items():
        amounts[currency] = option["unit_amount"]
    return Price(
        price.id,
        lookup_key,
        product if isinstance(product, str) else product.id,
        "" if isinstance(product, str) else getattr(product, "name", ""),
        LOOKUP_KEYS[lookup_key].key,
        lookup_key.rpartition("_")[2],
        price.currency,
        {currency: amount for currency, amount in amounts.items() if amount is not None},
    )


def is_upgrade(before: str, after: str) -> bool:
    """Whether one plan key is a larger plan than another; the order is that of `PLANS`."""
    order = list(PLANS)
    return order.index(after) > order.index(before or FREE.key)
