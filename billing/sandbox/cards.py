"""Test cards, by the numbers docs.stripe.com/testing documents. No other number is taken, so that none can be real."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from billing.sandbox.refusals import Refused, declined

OK, DECLINE, LATER, ASK, ASK_ALWAYS = "ok", "decline", "fails_later", "confirm_once", "confirm_always"


@dataclass(frozen=True, slots=True)
class TestCard:
    """How one number behaves."""

    brand: str
    behaviour: str
    title: str
    decline_code: str = "generic_decline"
    code: str = "card_declined"
    message: str = "Your card was declined."


CARDS: dict[str, TestCard] = {
    "4242424242424242": TestCard("visa", OK, "pays"),
    "5555555555554444": TestCard("mastercard", OK, "pays"),
    "378282246310005": TestCard("amex", OK, "pays"),
    "4000000000000002": TestCard("visa", DECLINE, "is declined"),
    "4000000000009995": TestCard(
        "visa", DECLINE, "has too little money", "insufficient_funds", message="Your card has insufficient funds."
    ),
    "4000000000000069": TestCard(
        "visa", DECLINE, "has expired", "expired_card", "expired_card", "Your card has expired."
    ),
    "4000000000000127": TestCard(
        "visa",
        DECLINE,
        "has another security code",
        "incorrect_cvc",
        "incorrect_cvc",
        "Your card's security code is incorrect.",
    ),
    "4000000000000341": TestCard("visa", LATER, "can be saved, but later charges fail"),
    "4000002500003155": TestCard("visa", ASK, "asks for confirmation when it is saved, then pays"),
    "4000002760003184": TestCard("visa", ASK_ALWAYS, "asks for confirmation each time"),
}
TOKENS = {
    "pm_card_visa": "4242424242424242",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_amex": "378282246310005",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
    "pm_card_authenticationRequired": "4000002760003184",
}


def read_card(number: str, expiry: str, cvc: str, now: int) -> tuple[str, int, int]:
    """A known number with its expiry month and year.

    Args:
        number: digits, with blanks or dashes.
        expiry: `MM/YY`, `MM / YYYY`.
        cvc: three digits, four for American Express.
        now: the sandbox's time, epoch seconds.

    Raises:
        Refused: a `card_error` whose `param` is `number`, `exp_month`, `exp_year` or `cvc`.
    """
    digits = re.sub(r"[\s-]", "", number)
    if digits not in CARDS:
        raise _wrong(
            "number", "incorrect_number", "Only the test cards listed on this page work here: never type a real card."
        )
    found = re.fullmatch(r"\s*(\d{1,2})\s*/?\s*(\d{4}|\d{2})\s*", expiry)
    if not found or not 1 <= int(found[1]) <= 12:
        raise _wrong("exp_month", "invalid_expiry_month", "Write the expiry as MM/YY, with a month from 01 to 12.")
    month, year = int(found[1]), int(found[2]) % 100 + 2000
    today = datetime.fromtimestamp(now, UTC)
    if not (today.year, today.month) <= (year, month) <= (today.year + 50, 12):
        raise _wrong("exp_year", "invalid_expiry_year", "This card has expired: use a month in the future.")
    if not re.fullmatch(r"\d{4}" if CARDS[digits].brand == "amex" else r"\d{3}", cvc.strip()):
        raise _wrong("cvc", "invalid_cvc", "The security code has 3 digits (4 on American Express).")
    return digits, month, year


def _wrong(param: str, code: str, message: str) -> Refused:
    return Refused(message, status=402, kind="card_error", code=code, param=param)


def refusal_of(number: str) -> Refused:
    """The `card_error` of a number that is declined."""
    card = CARDS[number]
    return declined(card.decline_code, card.message, code=card.code)
