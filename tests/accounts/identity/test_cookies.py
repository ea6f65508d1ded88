"""Every cookie of a server installation, as its settings make it (S9)."""

import os
import subprocess
import sys
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from pytest_django import Settings

from accounts.models import User
from tests.factories import PASSWORD

ROOT = Path(__file__).parents[3]
PROGRAM = """
import django
django.setup()
from django.conf import settings
from django.db import connections
from django.test import Client
from django.test.utils import setup_test_environment
from django.contrib.auth import get_user_model
setup_test_environment()
settings.ALLOWED_HOSTS = ["candor.example"]
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
client = Client(headers={"host": "candor.example"})
answers = [
    client.get("/accounts/login/", secure=True),
    client.post("/accounts/login/", {"login": EMAIL, "password": PASSWORD}, secure=True),
    client.post("/settings", {"theme": "dark"}, secure=True),
    client.get("/accounts/sessions/", secure=True),
]
for answer in answers:
    print("STATUS", answer.status_code)
    for morsel in answer.cookies.values():
        print(morsel.output())
print("LANGUAGE", settings.LANGUAGE_COOKIE_NAME, settings.LANGUAGE_COOKIE_SECURE, settings.LANGUAGE_COOKIE_HTTPONLY)
"""


@pytest.fixture
def printed(ada: User, settings: Settings) -> list[str]:
    """What a process with the settings of a server prints of its answers' cookies."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    ada.set_password(PASSWORD)
    ada.save()
    EmailAddress.objects.create(user=ada, email=ada.email, verified=True, primary=True)
    facts = settings.DATABASES["default"]
    user, host, port = facts["USER"], facts["HOST"], facts["PORT"]
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.prod",
        "SECRET_KEY": "x" * 50,
        "DATABASE_URL": f"postgresql://{user}@/{facts['NAME']}?host={host}" + (f"&port={port}" if port else ""),
        "PYTHONPATH": str(ROOT),
    }
    names = f"EMAIL, PASSWORD = {ada.email!r}, {PASSWORD!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", names + PROGRAM], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.django_db(transaction=True)
def test_every_cookie_is_fenced_in(printed: list[str]) -> None:
    statuses = [line for line in printed if line.startswith("STATUS")]
    assert statuses == ["STATUS 200", "STATUS 302", "STATUS 302", "STATUS 200"], printed
    jar: SimpleCookie = SimpleCookie()
    for line in printed:
        if line.startswith("Set-Cookie: "):
            jar.load(line.removeprefix("Set-Cookie: "))
    assert set(jar) == {"__Host-candor-session", "__Host-candor-csrf", "__Host-candor-view"}
    for cookie in jar.values():
        assert cookie["secure"], cookie
        assert cookie["httponly"], cookie
        assert cookie["samesite"] == "Lax", cookie
        assert (cookie["path"], cookie["domain"]) == ("/", ""), cookie  # what the prefix promises
    assert "LANGUAGE __Host-candor-language True True" in printed
