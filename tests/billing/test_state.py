"""What a subscription entitles to: every status, every edge of time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.state import ENTITLED, LIVE_STATUSES, Entitlement, Facts, Phase, entitlement

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
GRACE = timedelta(days=7)
END = NOW + 10 * DAY

TABLE: dict[str, tuple[Facts | None, Entitlement]] = {
    "never had one": (None, Entitlement("free", Phase.NONE)),
    "trial": (Facts("trialing", "pro", END, trial_end=END), Entitlement("pro", Phase.TRIAL, END)),
    "trial without an end": (Facts("trialing", "pro"), Entitlement("pro", Phase.TRIAL)),
    "trial, cancelled": (
        Facts("trialing", "pro", END, cancel_at_period_end=True, trial_end=END),
        Entitlement("pro", Phase.ENDING, END),
    ),
    "active": (Facts("active", "desk", END), Entitlement("desk", Phase.ACTIVE, END)),
    "active, renewal not told yet": (
        Facts("active", "desk", NOW - DAY),
        Entitlement("desk", Phase.ACTIVE, NOW - DAY),
    ),
    "cancelled, a tick before its end": (
        Facts("active", "pro", NOW + TICK, cancel_at_period_end=True),
        Entitlement("pro", Phase.ENDING, NOW + TICK),
    ),
    "cancelled, at its end": (
        Facts("active", "pro", NOW, cancel_at_period_end=True),
        Entitlement("free", Phase.ENDED),
    ),
    "cancelled, end unknown": (
        Facts("active", "pro", None, cancel_at_period_end=True),
        Entitlement("pro", Phase.ENDING),
    ),
    "past due today": (
        Facts("past_due", "pro", END, past_due_since=NOW),
        Entitlement("pro", Phase.GRACE, NOW + GRACE),
    ),
    "past due, a tick before the grace ends": (
        Facts("past_due", "pro", END, past_due_since=NOW - GRACE + TICK),
        Entitlement("pro", Phase.GRACE, NOW + TICK),
    ),
    "past due, at the end of the grace": (
        Facts("past_due", "pro", END, past_due_since=NOW - GRACE),
        Entitlement("free", Phase.LAPSED),
    ),
    "past due, nobody knows since when": (Facts("past_due", "pro", END), Entitlement("free", Phase.LAPSED)),
    "past due, cancelled within the grace": (
        Facts("past_due", "pro", NOW + DAY, cancel_at_period_end=True, past_due_since=NOW - DAY),
        Entitlement("pro", Phase.GRACE, NOW + DAY),
    ),
    "past due, cancelled after the grace": (
        Facts("past_due", "pro", END, cancel_at_period_end=True, past_due_since=NOW - DAY),
        Entitlement("pro", Phase.GRACE, NOW + 6 * DAY),
    ),
    "past due, cancelled, end unknown": (
        Facts("past_due", "pro", None, cancel_at_period_end=True, past_due_since=NOW),
        Entitlement("pro", Phase.GRACE, NOW + GRACE),
    ),
    "past due, cancelled, over": (
        Facts("past_due", "pro", NOW, cancel_at_period_end=True, past_due_since=NOW),
        Entitlement("free", Phase.ENDED),
    ),
    "canceled": (Facts("canceled", "pro", END), Entitlement("free", Phase.ENDED)),
    "incomplete": (Facts("incomplete", "pro", END), Entitlement("free", Phase.INCOMPLETE)),
    "incomplete, given up": (Facts("incomplete_expired", "pro"), Entitlement("free", Phase.ENDED)),
    "unpaid": (Facts("unpaid", "desk", END), Entitlement("free", Phase.UNPAID)),
    "paused": (Facts("paused", "desk", END), Entitlement("free", Phase.PAUSED)),
    "a status of tomorrow": (Facts("suspended", "desk", END), Entitlement("free", Phase.UNKNOWN)),
}


@pytest.mark.parametrize("name", TABLE)
def test_table(name: str) -> None:
    facts, expected = TABLE[name]
    assert entitlement(facts, NOW, GRACE) == expected


def test_no_grace_is_no_grace() -> None:
    assert entitlement(Facts("past_due", "pro", END, past_due_since=NOW), NOW, timedelta(0)).plan == "free"


@given(
    status=st.sampled_from([*LIVE_STATUSES, "canceled", "incomplete_expired", "new"]),
    end=st.none() | st.integers(-20, 20),
    since=st.none() | st.integers(-20, 20),
    ending=st.booleans(),
)
def test_plan_and_phase_agree_and_change_only_at_until(
    status: str, end: int | None, since: int | None, ending: bool
) -> None:
    def at(days: int | None) -> datetime | None:
        return None if days is None else NOW + days * DAY

    facts = Facts(status, "desk", at(end), ending, None, at(since))
    due = entitlement(facts, NOW, GRACE)
    assert (due.plan == "desk") == (due.phase in ENTITLED)
    if due.phase in {Phase.GRACE, Phase.ENDING} and due.until is not None:
        assert due.until > NOW
        assert entitlement(facts, due.until - TICK, GRACE).plan == "desk"
        assert entitlement(facts, due.until, GRACE).plan == "free"
