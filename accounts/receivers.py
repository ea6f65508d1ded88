"""Sign-ins and password changes go into the audit log."""

from allauth.account.signals import password_changed, password_reset
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver

from accounts.audit import record
from accounts.models import User
from accounts.scoping import acting_as


@receiver(user_logged_in)
def on_login(user: User, **kwargs: object) -> None:
    """A session began."""
    _record("session.began", user)


@receiver(password_changed)
@receiver(password_reset)
def on_new_password(user: User, **kwargs: object) -> None:
    """The password was changed, knowing the old one or by a mailed link."""
    _record("password.changed", user)


def _record(action: str, user: User) -> None:
    with acting_as(user.pk):
        record(action, user=user)
