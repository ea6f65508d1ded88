"""Whether somebody has a second factor."""

from allauth.mfa.models import Authenticator

from accounts.models import User

SECOND_FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
"""What counts; recovery codes alone are no factor but the way back to one."""


def has_mfa(user: User) -> bool:
    """Whether the person's sign-in takes more than a password."""
    found: bool = Authenticator.objects.filter(user_id=user.pk, type__in=SECOND_FACTORS).exists()
    return found
