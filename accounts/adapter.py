"""allauth's hooks: what happens when a person signs up, and how its mail leaves."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.sites.shortcuts import get_current_site
from django.core.mail import EmailMessage
from django.db import transaction
from django.forms import Form
from django.http import HttpRequest
from django.utils.translation import gettext

from accounts.founding import found_organization
from accounts.models import User
from lib.transactions import on_commit


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Gives every new user an organization of their own; mail leaves after commit: no lock waits for it."""

    def save_user(self, request: HttpRequest, user: User, form: Form, commit: bool = True) -> User:
        """Store the user and found their organization, or neither."""
        with transaction.atomic():
            saved: User = super().save_user(request, user, form, commit=commit)
            if commit:
                found_organization(saved, organization_name(saved))
        return saved

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Render now, send after commit; a mail server that is down is logged and does not break the page."""
        site = get_current_site(self.request)
        facts = {"request": self.request, "email": email, "current_site": site, **context}
        message: EmailMessage = self.render_mail(template_prefix, email, facts)
        on_commit(lambda: _send(message))

    def format_email_subject(self, subject: str) -> str:
        """Our name, whatever the host is called."""
        return f"Candor: {subject}"


def _send(message: EmailMessage) -> None:
    message.send()


def organization_name(user: User) -> str:
    """A first name for a user's organization, which its owner can change."""
    return gettext("%(name)s's organization") % {"name": user.name or user.email.partition("@")[0]}
