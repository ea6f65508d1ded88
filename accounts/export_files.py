"""Copies of all data as files: one ZIP of JSON lines per table, that only who asked for it can fetch, for some days."""

import json
import os
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from accounts.audit import operator_work, record
from accounts.errors import PrivacyError
from accounts.exporting import Exported, exported
from accounts.models import DataExport, Organization, User
from accounts.scoping import acting_as, scope_to
from lib.clock import wall_now

LASTS = timedelta(days=7)
STUCK = timedelta(minutes=15)
CHUNK = 2_000
Table = tuple[str, Exported, "QuerySet[Model]"]
README = """\
{title}
Made by Candor on {at} UTC.

Each file holds one table, one JSON object a line (https://jsonlines.org, UTF-8). Times are UTC. Secrets are not in
here: passwords, tokens, keys and second factors are not kept in a form that could be copied, or are kept sealed.

{tables}
"""


def folder() -> Path:
    """Where the files lie, readable by the platform only."""
    path = Path(settings.VAR_DIR) / "exports"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def ask_export(user: User, organization: Organization | None) -> DataExport:
    """Note that a copy is wanted; the task that makes it starts after commit.

    Args:
        user: who may fetch it.
        organization: the entered one, for a copy of all about it; None for all about the person.

    Raises:
        PrivacyError: one is being made already.
    """
    with transaction.atomic(), acting_as(user.pk):
        waiting = DataExport.objects.filter(user=user, organization=organization, state=DataExport.State.ASKED)
        if waiting.exists():
            raise PrivacyError(_("A copy is being made already: it will appear on this page."))
        export = DataExport.objects.create(user=user, organization=organization, expires_at=wall_now() + LASTS)
        record(
            "export.asked", user=user, organization_id=organization.pk if organization else None, export=export.pk.hex
        )
    return export


def make_person_export(export_id: str) -> bool:
    """Make the copy of all about a person, in whichever organization it lies; False where there is nothing to make."""
    with operator_work("task:export", "copy what is about a person, for that person"):
        export = _claim(export_id)
        if export is None or export.organization_id is not None:
            return False
        _make(export, f"All data about {export.user.email}", _about_person(export.user))
    return True


def make_organization_export(organization_id: int, export_id: str, user_id: int) -> bool:
    """Make the copy of all about the entered organization; False where there is nothing to make."""
    with acting_as(user_id):
        export = _claim(export_id)
        if export is None or export.organization_id != organization_id:
            return False
        name = Organization.objects.get(pk=organization_id).name
        _make(export, f"All data of {name}", _about_organization(organization_id))
    return True


def _claim(export_id: str) -> DataExport | None:
    """The row, locked, if it still waits: a task that comes twice makes one file."""
    waiting = DataExport.objects.select_for_update(of=("self",)).filter(pk=export_id, state=DataExport.State.ASKED)
    return waiting.select_related("user").first()


def _about_person(user: User) -> Iterator[Table]:
    for model, entry in exported():
        path, value = (entry.person, user.pk) if entry.person else (entry.person_email, user.email)
        if path:
            yield model._meta.label, entry, model._default_manager.filter(**{path: value})


def _about_organization(organization_id: int) -> Iterator[Table]:
    for model, entry in exported():
        if entry.organization:
            rows = model._default_manager.filter(**{entry.organization: organization_id})
            yield model._meta.label, entry, rows


def _make(export: DataExport, title: str, tables: Iterator[Table]) -> None:
    path = folder() / export.file_name
    part = path.with_suffix(".part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        counts = [(label, _write(archive, label, entry, rows)) for label, entry, rows in tables]
        listed = "\n".join(f"{label.lower()}.jsonl: {count} rows" for label, count in counts)
        archive.writestr("README.txt", README.format(title=title, at=f"{wall_now():%Y-%m-%d %H:%M}", tables=listed))
    part.replace(path)
    export.state, export.size = DataExport.State.READY, path.stat().st_size
    export.expires_at = wall_now() + LASTS
    export.save(update_fields=["state", "size", "expires_at"])


def _write(archive: zipfile.ZipFile, label: str, entry: Exported, rows: "QuerySet[Model]") -> int:
    count = 0
    with archive.open(f"{label.lower()}.jsonl", "w") as file:
        for row in rows.order_by("pk").values(*entry.fields).iterator(CHUNK):
            file.write(json.dumps(row, default=str, ensure_ascii=False).encode() + b"\n")
            count += 1
    return count


def remove_expired() -> int:
    """Delete the files whose days are over, and files that no row knows; number of files removed. Operator work."""
    over = DataExport.objects.filter(expires_at__lte=wall_now()).exclude(state=DataExport.State.GONE)
    over.update(state=DataExport.State.GONE, size=0)
    wanted = {row.file_name for row in DataExport.objects.filter(state=DataExport.State.READY)}
    gone = [path for path in folder().glob("*.zip") if path.name not in wanted]
    gone += [path for path in folder().glob("*.part") if path.stat().st_mtime < (wall_now() - LASTS).timestamp()]
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def waiting_exports() -> list[tuple[str, int | None, int]]:
    """(key, organization, requester) of copies whose task was lost. Operator work."""
    stuck = DataExport.objects.filter(state=DataExport.State.ASKED, created_at__lt=wall_now() - STUCK)
    return [(str(row.pk), row.organization_id, row.user_id) for row in stuck]


def note_download(export: DataExport, user: User) -> None:
    """Write down that a copy was fetched."""
    if export.organization_id is None:
        record("export.fetched", user=user, export=export.pk.hex)
        return
    with scope_to(export.organization_id):
        record("export.fetched", user=user, organization_id=export.organization_id, export=export.pk.hex)
