"""The people of a demonstration: an organization on the Desk plan, its owner, and an operator."""

import json
import os
import secrets
from pathlib import Path

from allauth.account.models import EmailAddress
from django.db import transaction

from accounts.founding import found_organization
from accounts.models import User
from accounts.plans import DESK

OWNER, OPERATOR = "demo@candor.local", "operator@candor.local"


def demo_logins(path: Path) -> dict[str, str]:
    """Passwords by address, made once and kept in a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        logins: dict[str, str] = json.loads(path.read_text())
        return logins
    logins = {email: secrets.token_urlsafe(12) for email in (OWNER, OPERATOR)}
    with os.fdopen(handle, "w") as file:
        json.dump(logins, file, indent=2)
    return logins


def create_demo(logins: dict[str, str]) -> list[str]:
    """Make the people who are not there yet; returns the addresses of those it made."""
    made = []
    with transaction.atomic():
        if not User.objects.filter(email=OWNER).exists():
            owner = User.objects.create_user(OWNER, logins[OWNER], name="Demo")
            found_organization(owner, "Demo desk", DESK.key)
            made.append(owner)
        if not User.objects.filter(email=OPERATOR).exists():
            made.append(User.objects.create_superuser(OPERATOR, logins[OPERATOR], name="Operator"))
        for user in made:
            EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return [user.email for user in made]
