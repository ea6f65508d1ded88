"""How long rows are kept that need not be kept for ever: as data, carried out once a day."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.apps import apps
from django.db.models import Model

from lib.clock import wall_now


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of a table go once a date of theirs is so many days old."""

    table: str
    """The model's label; a library's that is not installed is passed over."""
    date: str
    days: int
    why: str


RULES = (
    Rule("accounts.Invitation", "expires_at", 90, "so that who invited whom can be asked about for a quarter"),
    Rule("accounts.DataExport", "expires_at", 90, "that a copy was fetched; the file itself goes after 7 days"),
    Rule("sessions.Session", "expire_date", 0, "an expired session opens nothing"),
    Rule("account.EmailConfirmation", "created", 7, "the link in the mail works for 3 days"),
)
KEPT = (
    ("accounts.AuditEntry", "for ever: a chain with holes proves nothing; addresses and names go with an erasure"),
    ("accounts.Acceptance", "for ever: proof of what was accepted; the address goes with an erasure"),
    ("accounts.User", "for ever, without name and address after an erasure: others' records refer to the number"),
    ("accounts.Organization", "for ever, without its name after an erasure, for the same reason"),
)


def carry_out(now: datetime | None = None) -> dict[str, int]:
    """Delete what is over its days; number of rows by table. Operator work."""
    at = now or wall_now()
    return {rule.table: _delete(apps.get_model(rule.table), rule, at) for rule in RULES if _known(rule)}


def _known(rule: Rule) -> bool:
    label, _dot, name = rule.table.partition(".")
    return label in apps.app_configs and name.lower() in apps.all_models[label]


def _delete(model: type[Model], rule: Rule, at: datetime) -> int:
    over = model._default_manager.filter(**{f"{rule.date}__lt": at - timedelta(days=rule.days)})
    return over.delete()[0]
