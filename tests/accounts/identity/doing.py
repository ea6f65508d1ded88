"""What people do in these tests, through the pages they do it on."""

import re
import time
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.test import Client

from accounts.audit import operator_work
from accounts.models import AuditEntry, User
from tests.factories import PASSWORD
from tests.smtp_sink import SmtpSink

PERIOD_S = 30
Answer = Any
"""The test client's response; its own type is private."""


@dataclass
class Browser:
    """Somebody's browser, signed in through the page as in life."""

    email: str
    client: Client = field(default_factory=Client)

    def sign_in(self, password: str = PASSWORD) -> Answer:
        """Send the sign-in form."""
        return self.client.post("/accounts/login/", {"login": self.email, "password": password})

    def reauthenticate(self, password: str = PASSWORD) -> None:
        """Prove once more who it is."""
        answer = self.client.post("/accounts/reauthenticate/", {"password": password})
        assert answer.status_code == 302, answer.content.decode()

    @property
    def is_in(self) -> bool:
        """Whether pages for members open."""
        return self.client.get("/accounts/sessions/").status_code == 200


def signed_in(user: User) -> Browser:
    """A new browser in which somebody has signed in."""
    browser = Browser(user.email)
    assert browser.sign_in().status_code == 302
    assert browser.is_in
    return browser


def code_of(secret: str) -> str:
    """What an authenticator app shows now."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // PERIOD_S)))


def secret_on(page: Answer) -> str:
    """The secret that the set-up page shows."""
    found = re.search(r'class="secret">([A-Z2-7]+)<', page.content.decode())
    assert found is not None
    return found[1]


def set_up_totp(browser: Browser) -> tuple[str, list[str]]:
    """Set an authenticator app up on the pages; answers its secret and the recovery codes."""
    browser.reauthenticate()
    secret = secret_on(browser.client.get("/accounts/2fa/totp/activate/"))
    answer = browser.client.post("/accounts/2fa/totp/activate/", {"code": code_of(secret)}, follow=True)
    assert answer.redirect_chain[-1][0] == "/accounts/2fa/recovery-codes/"
    return secret, re.findall(r"<li><code>(\d+)</code></li>", answer.content.decode())


def audited(user: User) -> list[str]:
    """What the audit log says that a person did, oldest first."""
    with operator_work("test", "read the log"):
        return list(AuditEntry.objects.filter(user=user).order_by("at").values_list("action", flat=True))


def entry(user: User, action: str) -> AuditEntry:
    """The one entry of an action."""
    with operator_work("test", "read the log"):
        return AuditEntry.objects.get(user=user, action=action)


def link_in(sink: SmtpSink, pattern: str, number: int = -1) -> str:
    """The path of a link in a mail."""
    text = sink.messages[number].get_payload(decode=True)
    assert isinstance(text, bytes)
    found = re.search(r"https?://[^/\s]+(" + pattern + ")", text.decode())
    assert found is not None, text.decode()
    return found[1]
