"""Starting the payment sandbox beside the platform, and pointing the billing code at it."""

import os
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from billing.sandbox.server import Sandbox
from config import env
from config.addresses import LOOPBACK

PORT = 8001
MORE_PORTS = 20
CHOICES = ("sandbox", "off")


def wanted() -> bool:
    """Whether a sandbox is to be started: by default on a developer's machine that has no key of a real account.

    Raises:
        BadSettingError: BILLING is neither `sandbox` nor `off`.
    """
    usual = "sandbox" if str(settings.SETTINGS_MODULE).endswith(".dev") else "off"
    word = env.text("BILLING", usual)
    if word not in CHOICES:
        raise env.BadSettingError(f"BILLING={word!r} is unknown: use {' or '.join(CHOICES)}")
    return word == "sandbox" and not getattr(settings, "STRIPE_SECRET_KEY", "")


def start_sandbox(host: str, port: int, say: Callable[[str], Any]) -> Sandbox | None:
    """Start one for the site at `host` and `port` and set STRIPE_*; None where none is wanted.

    Its state is kept in `sandbox.json` below CANDOR_VAR. A taken SANDBOX_PORT is an error; without that variable the
    next free port after 8001 is taken.

    Raises:
        SandboxError: no port is free, or the kept state cannot be read.
    """
    if not wanted():
        return None
    if host not in LOOPBACK:
        say("billing: no sandbox, because its pages answer this machine only (set STRIPE_SECRET_KEY for real payments)")
        return None
    chosen = "SANDBOX_PORT" in os.environ
    sandbox = Sandbox(
        port=env.whole("SANDBOX_PORT", PORT, low=1, high=65535),
        more_ports=0 if chosen else MORE_PORTS,
        file=settings.VAR_DIR / "sandbox.json",
    ).start()
    secret = sandbox.listen_alone(f"http://127.0.0.1:{port}{webhook_path()}")
    for name, value in (
        ("STRIPE_SECRET_KEY", sandbox.key),
        ("STRIPE_API_BASE", sandbox.url),
        ("STRIPE_WEBHOOK_SECRETS", [secret]),
    ):
        setattr(settings, name, value)
        os.environ[name] = value if isinstance(value, str) else " ".join(value)
    say(f"billing: sandbox, no real money, at {sandbox.url}/sandbox/ (BILLING=off starts none)")
    return sandbox


def webhook_path() -> str:
    """Where the site takes events."""
    try:
        return reverse("billing:webhook")
    except NoReverseMatch:
        return "/billing/webhook/"
