"""`create_demo`: made once, kept where only its owner can read, and able to sign in."""

import json
import stat
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from accounts.access import viewer_of_user
from accounts.demo import OPERATOR, OWNER
from accounts.models import User

pytestmark = pytest.mark.django_db


def run() -> str:
    out = StringIO()
    call_command("create_demo", stdout=out)
    return out.getvalue()


def test_the_demo_people(tmp_path: Path, settings: Settings) -> None:
    settings.VAR_DIR = tmp_path / "var"
    told = run()
    path = tmp_path / "var" / "demo_logins.json"
    logins = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for email in (OWNER, OPERATOR):
        assert f"{email}  {logins[email]}" in told
        assert Client().post("/accounts/login/", {"login": email, "password": logins[email]})["Location"] == "/"
    viewer = viewer_of_user(User.objects.get(email=OWNER))
    assert (viewer.plan.key, viewer.role, viewer.operator, viewer.must_accept) == ("desk", "owner", False, True)
    operator = User.objects.get(email=OPERATOR)
    assert (operator.is_staff, operator.is_superuser) == (True, True)


def test_a_second_run_changes_nothing_and_tells_no_password(tmp_path: Path, settings: Settings) -> None:
    settings.VAR_DIR = tmp_path
    run()
    before = list(User.objects.order_by("pk").values_list("email", "password"))
    told = run()
    assert list(User.objects.order_by("pk").values_list("email", "password")) == before
    assert not any(password in told for password in json.loads((tmp_path / "demo_logins.json").read_text()).values())


def test_a_fresh_database_gets_the_kept_logins(tmp_path: Path, settings: Settings) -> None:
    settings.VAR_DIR = tmp_path
    kept = {OWNER: "kept password one", OPERATOR: "kept password two"}
    (tmp_path / "demo_logins.json").write_text(json.dumps(kept))
    assert "kept password one" in run()
