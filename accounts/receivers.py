"""What changes how somebody signs in goes into the audit log and ends their other sessions."""

from collections.abc import Mapping

from allauth.account.models import EmailAddress
from allauth.account.signals import email_changed, password_changed, password_reset, password_set
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset, authenticator_used
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.audit import record
from accounts.identity.clocks import begin
from accounts.identity.sessions import end_sessions
from accounts.models import User
from accounts.scoping import acting_as

KINDS: dict[str, str] = {
    Authenticator.Type.TOTP: "totp",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery_codes",
}


@receiver(user_logged_in)
def on_login(user: User, request: HttpRequest | None = None, **kwargs: object) -> None:
    """A session began."""
    if request is not None:
        begin(request.session)
    _record("session.began", user)


@receiver(password_changed)
@receiver(password_set)
@receiver(password_reset)
def on_new_password(user: User, request: HttpRequest, **kwargs: object) -> None:
    """The password was changed, knowing the old one or by a mailed link."""
    _record("password.changed", user)
    end_sessions(user, keep=_own_session(request, user), reason="password changed")


@receiver(email_changed)
def on_new_email(
    user: User, from_email_address: EmailAddress | None, to_email_address: EmailAddress, **kwargs: object
) -> None:
    """A new address was confirmed and has taken the old one's place; the first one has none to take."""
    if from_email_address is not None:
        facts = {"before": from_email_address.email, "after": to_email_address.email}
        _record("email.changed", user, personal=facts)


@receiver(authenticator_added)
def on_factor_added(user: User, authenticator: Authenticator, request: HttpRequest, **kwargs: object) -> None:
    """A second factor was set up, or the recovery codes that come with the first."""
    _record(f"mfa.{KINDS[authenticator.type]}_added", user)
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        end_sessions(user, keep=_own_session(request, user), reason="second factor added")


@receiver(authenticator_removed)
def on_factor_removed(user: User, authenticator: Authenticator, request: HttpRequest, **kwargs: object) -> None:
    """A second factor was given up, or the recovery codes that went with the last."""
    _record(f"mfa.{KINDS[authenticator.type]}_removed", user)
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        end_sessions(user, keep=_own_session(request, user), reason="second factor removed")


@receiver(authenticator_reset)
def on_codes_made(user: User, request: HttpRequest, **kwargs: object) -> None:
    """New recovery codes took the place of the old."""
    _record("mfa.recovery_codes_made", user)
    end_sessions(user, keep=_own_session(request, user), reason="new recovery codes")


@receiver(authenticator_used)
def on_factor_used(user: User, authenticator: Authenticator, **kwargs: object) -> None:
    """A recovery code is used up; that an app or a passkey was used goes without saying."""
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        _record("mfa.recovery_code_used", user)


def _own_session(request: HttpRequest, user: User) -> str | None:
    """Key of the session that makes the change, which goes on; none where nobody is signed in."""
    return request.session.session_key if request.user == user else None


@receiver(post_save, sender=User)
def on_user_saved(instance: User, **kwargs: object) -> None:
    """An account that is switched off loses its sessions for good, not until it is switched on again."""
    if not instance.is_active:
        end_sessions(instance, reason="account switched off")


def _record(action: str, user: User, *, personal: Mapping[str, str] | None = None) -> None:
    with acting_as(user.pk):
        record(action, user=user, personal=personal)
