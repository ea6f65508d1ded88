"""Copies of all data (security row S34): complete, without secrets, for the requester alone and not for long."""

import io
import json
import stat
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.db import models
from django.test.utils import isolate_apps
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts import exporting
from accounts.audit import operator_work
from accounts.export_files import STUCK, folder
from accounts.exporting import Erasure, Excused, Exported, about_somebody, registry
from accounts.models import ApiKey, DataExport, Membership, Organization, Role, User
from accounts.scoping import acting_as, scope_to
from accounts.sealed import put_secret
from accounts.tasks import keep_promises, make_organization_export, make_person_export
from lib.clock import wall_now
from tests.accounts.tenancy.acts import entries, prove
from tests.factories import join
from tests.people import Person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, settings: Settings) -> None:
    settings.VAR_DIR = tmp_path


def test_every_table_about_somebody_is_listed_or_excused() -> None:
    """A new table with a reference to a user or an organization, in any app, fails here until it is declared."""
    missing = about_somebody() - set(registry())
    assert missing == set(), f"declare these in EXPORTS of <app>/exporting.py: {sorted(missing)}"


@isolate_apps("accounts")
def test_an_undeclared_table_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Diary(models.Model):
        """Somebody's notes."""

        writer = models.ForeignKey(User, models.CASCADE)

        class Meta:
            app_label = "accounts"

    assert exporting._targets(Diary) == {"accounts.User"}


def test_each_declaration_can_be_carried_out() -> None:
    for label, entry in registry().items():
        if isinstance(entry, Excused):
            assert len(entry.reason) > 10, label
            continue
        assert entry.person or entry.person_email or entry.organization, label
        assert entry.erase == Erasure.DELETE or entry.why, label
        model = next(model for model in exporting.all_models() if model._meta.label == label)
        with operator_work("test", "try the lookups"):
            lookups = [path for path in (entry.person, entry.organization) if path]
            for path in lookups:
                assert list(model._default_manager.filter(**{path: 0}).values(*entry.fields)) == []
            list(model._default_manager.values(*entry.fields)[:1])


SECRETS = ("password", "secret", "token", "hash", "sealed", "salt", "key_data")


def test_no_secret_is_among_the_fields() -> None:
    for label, entry in registry().items():
        if isinstance(entry, Exported):
            bad = [field for field in entry.fields if any(word in field for word in SECRETS)]
            assert bad == [], label


def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The archive's tables."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {
            name.removesuffix(".jsonl"): [json.loads(line) for line in archive.read(name).splitlines()]
            for name in archive.namelist()
            if name.endswith(".jsonl")
        }


def asked(person: Person, of: str = "person") -> DataExport:
    prove(person).post("/privacy/export/", {"of": of})
    with acting_as(person.user.pk):
        return DataExport.objects.latest("created_at")


def made(person: Person, of: str = "person") -> DataExport:
    export = asked(person, of)
    if of == "person":
        assert make_person_export(str(export.pk))
    else:
        assert make_organization_export(person.organization.pk, str(export.pk), person.user.pk)
    with acting_as(person.user.pk):
        export.refresh_from_db()
    return export


@pytest.fixture
def furnished(owner: Person, teammate: Person) -> Person:
    """The owner, with something in every table."""
    EmailAddress.objects.create(user=owner.user, email=owner.user.email, primary=True, verified=True)
    with scope_to(owner.organization.pk):
        ApiKey.objects.create(
            organization=owner.organization, name="bot", prefix="ck_abcd", secret_sha256="e" * 64, created_by=owner.user
        )
        put_secret(owner.organization, "exchange", "kraken", "plain-exchange-key", owner.user)
    owner.client.post("/organization/rename/", {"name": "Ours"})
    return owner


def test_everything_about_me(furnished: Person, teammate: Person, stranger: Person) -> None:
    with scope_to(stranger.organization.pk):
        join(stranger.organization, furnished.user, Role.READONLY)
    tables = rows(folder() / made(furnished).file_name)
    assert [row["email"] for row in tables["accounts.user"]] == [furnished.user.email]
    places = {row["organization__name"] for row in tables["accounts.membership"]}
    assert places == {"Ours", "Elsewhere"}
    assert {row["user_id"] for row in tables["accounts.auditentry"]} == {furnished.user.pk}
    assert [row["prefix"] for row in tables["accounts.apikey"]] == ["ck_abcd"]
    everything = json.dumps(tables)
    for foreign in (teammate.user.email, stranger.user.email, "e" * 64, "plain-exchange-key", furnished.user.password):
        assert foreign not in everything


def test_everything_about_the_organization(furnished: Person, teammate: Person, stranger: Person) -> None:
    stranger.client.post("/organization/rename/", {"name": "Their plan"})
    tables = rows(folder() / made(furnished, "organization").file_name)
    assert {row["user__email"] for row in tables["accounts.membership"]} == {
        furnished.user.email,
        teammate.user.email,
    }
    assert [row["name"] for row in tables["accounts.tenantsecret"]] == ["kraken"]
    everything = json.dumps(tables)
    for foreign in (stranger.user.email, "Their plan", "plain-exchange-key", "v1."):
        assert foreign not in everything


def test_the_file_is_the_platforms_own_and_its_name_tells_nothing(furnished: Person) -> None:
    export = made(furnished)
    path = folder() / export.file_name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder().stat().st_mode) == 0o700
    assert furnished.user.email not in path.name
    assert export.size == path.stat().st_size


def test_it_is_fetched_after_the_password_by_its_requester_only(
    furnished: Person, manager: Person, stranger: Person, operator: Person, visitor: Person
) -> None:
    export = made(furnished)
    address = f"/privacy/export/{export.pk}/"
    response = furnished.client.get(address)
    assert response.status_code == 200
    archive = zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))  # type: ignore[attr-defined]  # a FileResponse
    assert "README.txt" in archive.namelist()
    assert "no-store" in response["Cache-Control"]
    assert len(entries(action="export.fetched")) == 1
    for other in (manager, stranger):
        assert prove(other).get(address).status_code == 404
    assert prove(operator, "an operator's password").get(address).status_code == 404
    assert visitor.client.get(address).status_code == 302


def test_without_the_password_nothing_is_asked_or_fetched(owner: Person) -> None:
    export = made(owner)
    owner.client.session.flush()
    owner.client.force_login(owner.user, backend="django.contrib.auth.backends.ModelBackend")
    for response in (
        owner.client.get(f"/privacy/export/{export.pk}/"),
        owner.client.post("/privacy/export/", {"of": "person"}),
    ):
        assert response["Location"].startswith("/accounts/reauthenticate/?next=%2Fprivacy%2F")
    assert len(entries(action="export.asked")) == 1


def test_who_owns_it_no_longer_fetches_nothing(furnished: Person, manager: Person) -> None:
    export = made(furnished, "organization")
    with scope_to(furnished.organization.pk):
        Membership.objects.filter(user=furnished.user).update(role=Role.ADMIN)
    assert furnished.client.get(f"/privacy/export/{export.pk}/").status_code == 404


@pytest.mark.parametrize("name", ["manager", "teammate", "readonly"])
def test_only_owners_copy_an_organization(name: str, owner: Person, request: pytest.FixtureRequest) -> None:
    person: Person = request.getfixturevalue(name)
    assert prove(person).post("/privacy/export/", {"of": "organization"}).status_code == 403


def test_one_at_a_time(owner: Person) -> None:
    asked(owner)
    response = owner.client.post("/privacy/export/", {"of": "person"})
    assert (response.status_code, b"being made already" in response.content) == (422, True)


def test_a_task_that_comes_twice_or_with_the_wrong_tenant_makes_nothing(owner: Person, stranger: Person) -> None:
    export = made(owner)
    assert not make_person_export(str(export.pk))
    foreign = asked(owner, "organization")
    assert not make_organization_export(stranger.organization.pk, str(foreign.pk), owner.user.pk)
    assert not make_organization_export(owner.organization.pk, str(foreign.pk), stranger.user.pk)
    assert not make_person_export(str(foreign.pk))


def test_after_seven_days_it_is_gone(owner: Person) -> None:
    export = made(owner)
    path = folder() / export.file_name
    keep_promises()
    assert path.exists()
    assert timedelta(days=6, hours=23) < export.expires_at - wall_now() <= timedelta(days=7)
    with operator_work("test", "let time pass"):
        DataExport.objects.update(expires_at=wall_now())
    assert owner.client.get(f"/privacy/export/{export.pk}/").status_code == 404
    stray = folder() / "stray.zip"
    stray.write_bytes(b"x")
    keep_promises()
    assert not path.exists()
    assert not stray.exists()
    assert "expired" in owner.client.get("/privacy/").content.decode()


def test_a_lost_task_is_started_again(
    owner: Person, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    export = asked(owner)
    with operator_work("test", "let time pass"):
        DataExport.objects.update(created_at=wall_now() - STUCK - timedelta(minutes=1))
    with django_capture_on_commit_callbacks() as started:
        keep_promises()
    assert len(started) == 1
    assert make_person_export(str(export.pk))


def test_ones_own_copies_are_shown_and_no_others(owner: Person, stranger: Person) -> None:
    export = made(owner)
    assert str(export.pk) in owner.client.get("/privacy/").content.decode()
    assert str(export.pk) not in stranger.client.get("/privacy/").content.decode()
    assert isinstance(owner.organization, Organization)
