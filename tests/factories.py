"""Rows for tests, made through the functions that make them in life."""

from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

from accounts.founding import found_organization
from accounts.models import Membership, Organization, Role, User
from accounts.plans import FREE, Plan
from accounts.scoping import scope_to

PASSWORD = "correct horse battery"


def make_user(email: str, name: str = "") -> User:
    """A person without an organization, whose password is `PASSWORD`."""
    return User.objects.create_user(email, PASSWORD, name=name)


def make_organization(owner: User, name: str = "Desk", plan: Plan = FREE) -> Organization:
    """An organization and its owner."""
    return found_organization(owner, name, plan.key)


def join(organization: Organization, user: User, role: Role = Role.MEMBER) -> Membership:
    """A further member."""
    with scope_to(organization.pk):
        return Membership.objects.create(organization=organization, user=user, role=role)


def give_totp(user: User) -> str:
    """Set an authenticator app up for somebody; answers its secret."""
    secret: str = generate_totp_secret()
    TOTP.activate(user, secret)
    return secret
