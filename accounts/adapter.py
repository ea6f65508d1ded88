"""allauth's hooks: what happens when a person signs up, how often somebody may try, and how its mail leaves."""

from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from django.contrib.sites.shortcuts import get_current_site
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.db import transaction
from django.forms import Form
from django.http import HttpRequest
from django.utils.translation import gettext

from accounts.founding import found_organization
from accounts.identity.limits import refuse
from accounts.models import User
from lib.origin import origin
from lib.transactions import on_commit

APP = "allauth.account"
"""Whose ACCOUNT_RATE_LIMITS count."""

log = structlog.get_logger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Gives every new user an organization of their own, counts attempts, and sends mail after commit."""

    def save_user(self, request: HttpRequest, user: User, form: Form, commit: bool = True) -> User:
        """Store the user and found their organization, or neither."""
        with transaction.atomic():
            saved: User = super().save_user(request, user, form, commit=commit)
            if commit:
                found_organization(saved, organization_name(saved))
        return saved

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count an attempt before the password is looked at; allauth gives it back when the password is right.

        Raises:
            ImmediateHttpResponse: 429, the same for accounts that exist and that do not.
        """
        login = str(credentials.get("email", ""))
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            refuse(request, login)
        account = ratelimit.consume(request, app=APP, action="login_account", key=login.lower())
        if account is None:
            refuse(request, login)
        self._login_failed_rl_usage.usage.extend(account.usage)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Render now, send after commit; a mail server that is down is logged and does not break the page.

        A mailbox gets so many mails an hour, whoever asks for them: the rest is dropped, and its asker not told.
        """
        if not ratelimit.consume(self.request, app=APP, action="mail", key=email.lower(), limit_get=True):
            log.warning("mail_limited", template=template_prefix)
            return
        site = get_current_site(self.request)
        facts = {"request": self.request, "email": email, "current_site": site, **context}
        message: EmailMessage = self.render_mail(template_prefix, email, facts)
        on_commit(lambda: _send(message))

    def format_email_subject(self, subject: str) -> str:
        """Our name, whatever the host is called."""
        return f"Candor: {subject}"

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that the audit log has too: behind TRUSTED_PROXIES the client's, not the proxy's."""
        return origin().ip or str(super().get_client_ip(request))

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Count by account and address: who fails on purpose elsewhere locks nobody out here."""
        return f"{super()._get_login_attempts_cache_key(request, **credentials)}:{self.get_client_ip(request)}"


def _send(message: EmailMessage) -> None:
    message.send()


def organization_name(user: User) -> str:
    """A first name for a user's organization, which its owner can change."""
    return gettext("%(name)s's organization") % {"name": user.name or user.email.partition("@")[0]}
