"""The audit log as it is read: the chains checked, the organization's rows filtered and exported."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection
from django.db.models import QuerySet

from accounts.audit_chain import Break, Link, first_break
from accounts.models import AuditEntry

LINKS = """
SELECT chain, number, previous, hash, id::text, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
 coalesce(organization_id::text, ''), coalesce(user_id::text, ''), actor, action, request_id, details::text,
 personal_sha256, salt, coalesce(host(ip), ''), personal::text
FROM accounts_auditentry WHERE chain = %s AND number > %s AND number <= %s ORDER BY number LIMIT %s
"""
PAGE = 5_000
MOST_EXPORTED = 100_000
HEADER = ("number", "time", "who", "what", "details", "address", "request", "hash")


def verify_chains(chains: list[int] | None = None) -> tuple[int, list[Break]]:
    """Check all chains, or some; number of chains and what is broken. Needs operator work."""
    heads = _heads()
    wanted = sorted(set(heads) | _known()) if chains is None else chains
    found = [first_break(chain, read_links(chain, *heads.get(chain, ())[:1]), heads.get(chain)) for chain in wanted]
    return len(wanted), [each for each in found if each is not None]


def read_links(chain: int, last: int = 2**62) -> Iterator[Link]:
    """A chain's rows by number up to `last`, a page at a time; rows may be added while it reads."""
    after = -(2**62)
    while True:
        with connection.cursor() as cursor:
            cursor.execute(LINKS, [chain, after, last, PAGE])
            rows = [Link(*row) for row in cursor.fetchall()]
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1].number


def _heads() -> dict[int, tuple[int, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT chain, number, hash FROM candor_audit_heads()")
        return {chain: (number, last) for chain, number, last in cursor.fetchall()}


def _known() -> set[int]:
    chains = AuditEntry.objects.order_by().values_list("chain", flat=True).distinct()
    return {chain for chain in chains if chain is not None}  # rows of this very transaction have none yet


def filtered(
    entries: QuerySet[AuditEntry], *, who: int | None, action: str, since: date | None, until: date | None
) -> QuerySet[AuditEntry]:
    """The rows of one person, one kind of act and a span of days (UTC, both ends included), newest first."""
    if who is not None:
        entries = entries.filter(user_id=who)
    if action:
        entries = entries.filter(action=action)
    if since is not None:
        entries = entries.filter(at__gte=_midnight(since))
    if until is not None:
        entries = entries.filter(at__lt=_midnight(until) + timedelta(days=1))
    return entries.order_by("-at", "-number")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def csv_of(entries: QuerySet[AuditEntry]) -> str:
    """The rows as CSV, newest first, at most MOST_EXPORTED of them."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADER)
    for entry in entries[:MOST_EXPORTED]:
        facts = json.dumps(entry.facts, ensure_ascii=False, sort_keys=True)
        cells = (entry.at.isoformat(), entry.who, entry.action, facts, entry.ip or "", entry.request_id, entry.hash)
        writer.writerow([entry.number, *map(plain_cell, cells)])
    return out.getvalue()


def plain_cell(text: str) -> str:
    """The text as a spreadsheet takes it for text: what would begin a formula gets an apostrophe in front."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
