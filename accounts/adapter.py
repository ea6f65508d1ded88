"""allauth's hooks: what happens when a person signs up."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext

from accounts.founding import found_organization
from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Gives every new user an organization of their own, in the transaction that makes the user."""

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Store the user and found their organization, or neither."""
        with transaction.atomic():
            saved: User = super().save_user(request, user, form, commit=commit)
            if commit:
                found_organization(saved, organization_name(saved))
        return saved


def organization_name(user: User) -> str:
    """A first name for a user's organization, which its owner can change."""
    return gettext("%(name)s's organization") % {"name": user.name or user.email.partition("@")[0]}
