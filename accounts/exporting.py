"""What leaves in a copy of all data, and what goes in an erasure: every table about a person or an organization.

An app declares its own tables in `<app>/exporting.py` as `EXPORTS`, by model label; this file speaks for `accounts`
and for the libraries. A test fails for a table that leads to a user or an organization and is neither listed nor
excused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from importlib.util import find_spec

from django.apps import apps
from django.db.models import Model


class Erasure(StrEnum):
    """What becomes of a row when its person or its organization is erased."""

    DELETE = "delete"
    KEEP = "keep"
    """Stays as it is; `why` says what for."""
    ANONYMISE = "anonymise"
    """Stays without what names a person; `accounts.erasing` or the app's receiver of the erasing events sees to it."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A table that is copied out.

    Args:
        fields: lookups of the columns that leave, never a secret or a hash of one.
        person: lookup from the row to the user it is about; empty where rows are about an organization only.
        person_email: lookup to an address, where rows are about whoever has it.
        organization: lookup from the row to its organization; empty where rows are about a person only.
        erase: what an erasure does with it.
        why: needed where it does not delete.
    """

    fields: tuple[str, ...]
    person: str = ""
    person_email: str = ""
    organization: str = ""
    erase: Erasure = Erasure.DELETE
    why: str = ""


@dataclass(frozen=True, slots=True)
class Excused:
    """A table that is not copied out, and why that is right."""

    reason: str


KEY_FACTS = ("name", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
AUDIT_FACTS = ("at", "organization_id", "user_id", "action", "details", "personal", "ip", "request_id")

EXPORTS: dict[str, Exported | Excused] = {
    "accounts.User": Exported(
        ("id", "email", "name", "is_active", "date_joined", "last_login", "erase_at"),
        person="pk",
        erase=Erasure.ANONYMISE,
        why="the audit log and the invoices name people by this row's number",
    ),
    "accounts.Organization": Exported(
        ("slug", "name", "plan", "created_at", "erase_at"),
        organization="pk",
        erase=Erasure.ANONYMISE,
        why="the audit log and the invoices name organizations by this row's number",
    ),
    "accounts.Membership": Exported(
        ("organization__name", "user__email", "user__name", "role", "created_at"),
        person="user",
        organization="organization",
    ),
    "accounts.Invitation": Exported(
        ("email", "role", "created_at", "expires_at", "accepted_at"),
        person_email="email",
        organization="organization",
    ),
    "accounts.ApiKey": Exported(KEY_FACTS, person="created_by", organization="organization"),
    "accounts.Acceptance": Exported(
        ("version", "accepted_at", "ip"),
        person="user",
        erase=Erasure.ANONYMISE,
        why="proof of what was accepted and when; the address goes",
    ),
    "accounts.AuditEntry": Exported(
        AUDIT_FACTS,
        person="user",
        organization="organization",
        erase=Erasure.ANONYMISE,
        why="the chain must stay whole; addresses and names go",
    ),
    "accounts.TenantSecret": Exported(
        ("kind", "name", "created_at", "last_used_at"),
        organization="organization",
    ),
    "accounts.DataExport": Exported(
        ("created_at", "expires_at", "state", "size"),
        person="user",
        organization="organization",
    ),
    "accounts.User_groups": Excused("rights of operators inside the console; no groups are used"),
    "accounts.User_user_permissions": Excused("rights of operators inside the console; none are given one by one"),
    "account.EmailAddress": Exported(("email", "verified", "primary"), person="user"),
    "account.EmailConfirmation": Excused("single-use keys to addresses that are listed; they go with the address"),
    "admin.LogEntry": Exported(
        ("action_time", "content_type__model", "object_id", "action_flag"),
        person="user",
        erase=Erasure.KEEP,
        why="which operator changed what in the console, by number",
    ),
    "mfa.Authenticator": Exported(("type", "created_at", "last_used_at"), person="user"),
    "usersessions.UserSession": Exported(("ip", "user_agent", "created_at", "last_seen_at"), person="user"),
}


def registry() -> dict[str, Exported | Excused]:
    """All declarations of installed apps, by model label."""
    found: dict[str, Exported | Excused] = {}
    for config in apps.get_app_configs():
        if find_spec(f"{config.name}.exporting") is not None:
            found |= import_module(f"{config.name}.exporting").EXPORTS
    installed = {model._meta.label for model in all_models()}
    return {label: entry for label, entry in found.items() if label in installed}


def exported() -> Iterator[tuple[type[Model], Exported]]:
    """The tables that are copied out."""
    models = {model._meta.label: model for model in all_models()}
    for label, entry in sorted(registry().items()):
        if isinstance(entry, Exported):
            yield models[label], entry


def all_models() -> list[type[Model]]:
    """Every table, those between two models included."""
    return list(apps.get_models(include_auto_created=True))


def about_somebody() -> set[str]:
    """Labels of all tables from which references lead to a user or an organization, in any number of steps."""
    found = {"accounts.User", "accounts.Organization"}
    while True:
        more = {model._meta.label for model in all_models() if _targets(model) & found} - found
        if not more:
            return found
        found |= more


def _targets(model: type[Model]) -> set[str]:
    fields = model._meta.get_fields(include_hidden=False)
    related = [field.related_model for field in fields if (field.many_to_one or field.one_to_one) and field.concrete]
    return {target._meta.label for target in related if isinstance(target, type)}
