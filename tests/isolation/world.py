"""Two organizations with two of everything, each row carrying its side's marker, so that a leak can be read off."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from secrets import token_bytes
from typing import Any
from uuid import UUID

from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from django.apps import apps
from django.db import models
from django.http import HttpRequest
from django.test import Client
from django_scopes import scopes_disabled
from fido2.cose import ES256
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorAttestationResponse,
    AuthenticatorData,
    CollectedClientData,
    RegistrationResponse,
)

from accounts.audit import operator_work
from accounts.inviting import token_hash
from accounts.models import ApiKey, DataExport, Invitation, Membership, Organization, Role, User
from accounts.plans import DESK
from accounts.scoping import acting_as, scope_to
from accounts.sealed import put_secret
from billing.models import CheckoutAttempt, Customer, Subscription
from lib.clock import wall_now
from tests.factories import join, make_organization, make_user
from tests.people import Person, person

ROLES = {"owner": Role.OWNER, "manager": Role.ADMIN, "teammate": Role.MEMBER, "readonly": Role.READONLY}


@dataclass
class Side:
    """One tenant: its people by what they may do, its rows by what routes call them, and the words only it uses."""

    marker: str
    organization: Organization
    people: dict[str, Person]
    keys: dict[str, Any] = field(default_factory=dict)

    def tells(self, text: str) -> list[str]:
        """The side's own words in a text that is not the side's."""
        return sorted(set(re.findall(rf"[\w.@-]*{self.marker}[\w.@-]*", text)))


def make_side(marker: str) -> Side:
    """An organization on Desk with a person of each role and one of every row a tenant can own."""
    people: dict[str, Person] = {}
    owner = make_user(f"owner@{marker}.example", f"Owner {marker}")
    organization = make_organization(owner, f"Desk {marker}", DESK)
    people["owner"] = person(owner, organization)
    side = Side(marker, organization, people)
    for name, role in list(ROLES.items())[1:]:
        user = make_user(f"{name}@{marker}.example", f"{name} {marker}")
        side.keys[f"{name}_membership"] = join(organization, user, role).pk
        people[name] = person(user, organization)
    for who in people.values():  # as a sign-up and a sign-in leave it
        EmailAddress.objects.create(user=who.user, email=who.user.email, verified=True, primary=True)
        _prove(who)
    with scope_to(organization.pk):
        _rows(side, owner)
    return side


def _prove(who: Person) -> None:
    """As if the person had just typed the password again: what asks for that is open."""
    request = HttpRequest()
    request.session = who.client.session
    record_authentication(request, who.user, "password", reauthenticated=True)
    request.session.save()


def _rows(side: Side, owner: User) -> None:
    token = f"{side.marker}-token-" + "x" * 24
    invitation = Invitation.objects.create(
        organization=side.organization,
        email=f"guest@{side.marker}.example",
        role=Role.MEMBER,
        token_hash=token_hash(token),
        invited_by=owner,
        expires_at=wall_now() + timedelta(days=1),
    )
    ApiKey.objects.create(organization=side.organization, name=f"key {side.marker}", prefix=side.marker[:16])
    put_secret(side.organization, "exchange", f"secret {side.marker}", f"plain {side.marker}", owner)
    export = DataExport(user=owner, organization=side.organization, state="ready", expires_at=invitation.expires_at)
    with acting_as(owner.pk):
        export.save(force_insert=True)
    factor = Authenticator.objects.create(
        user=owner,
        type=Authenticator.Type.WEBAUTHN,
        data={"name": f"passkey {side.marker}", "credential": _credential()},
    )
    session = UserSession.objects.create(
        user=owner, ip="192.0.2.1", user_agent=f"agent {side.marker}", session_key=f"{side.marker}-" + "s" * 24
    )
    side.keys |= {"order": _money(side).key}
    side.keys |= {
        "export": export.pk,
        "owner_passkey": factor.pk,
        "owner_session": session.pk,
        "owner_membership": Membership.objects.get(user=owner).pk,
        "invitation": invitation.pk,
        "invitation_token": token,
        "slug": side.organization.slug,
        "organization": side.organization.pk,
        "user": owner.pk,
    }


def _money(side: Side) -> CheckoutAttempt:
    """A customer with a subscription that was paid for once."""
    now = wall_now()
    Customer.objects.create(organization=side.organization, stripe_id=f"cus_{side.marker}", currency="usd")
    Subscription.objects.create(
        organization=side.organization,
        stripe_id=f"sub_{side.marker}",
        item_id=f"si_{side.marker}",
        status="active",
        plan="desk",
        price_id=f"price_{side.marker}",
        interval="month",
        currency="usd",
        amount=9900,
        period_end=now + timedelta(days=20),
        started_at=now,
        synced_at=now,
    )
    return CheckoutAttempt.objects.create(
        organization=side.organization, lookup_key="candor_desk_month", currency="usd", state="done"
    )


def _credential() -> dict[str, Any]:
    """What a browser answers when it makes a passkey (WebAuthn level 2, section 5.1.3)."""
    cose: Any = ES256  # fido2's classes carry types in part only
    key = cose.from_cryptography_key(generate_private_key(SECP256R1()).public_key())
    made = AttestedCredentialData.create(Aaguid.NONE, token_bytes(16), key)
    facts = AuthenticatorData.create(sha256(b"testserver").digest(), AuthenticatorData.FLAG.AT | 1, 0, made)
    asked = CollectedClientData.create("webauthn.create", token_bytes(32), "http://testserver")
    answer = AuthenticatorAttestationResponse(
        client_data=asked, attestation_object=AttestationObject.create("none", facts, {})
    )
    response: Any = RegistrationResponse
    return dict(response(raw_id=made.credential_id, response=answer))


def nowhere(side: Side) -> Side:
    """The same keys, each naming a row that nobody has."""
    absent: dict[type, Callable[[Any], object]] = {
        int: lambda _: 9_999_999,
        str: lambda word: "0" * len(word),
        UUID: lambda _: UUID(int=0),
    }
    keys = {name: absent[type(key)](key) for name, key in side.keys.items()}
    return Side("nowhere", side.organization, {}, keys)


def visitor() -> Person:
    """Nobody."""
    return Person(Client())


# ---- what a walk must not change

CHANGES_BY_ITSELF = frozenset(
    {"accounts.auditentry", "accounts.audithead", "sessions.session", "usersessions.usersession"}
)
"""Tables that a refused request may write: the log of the attempt, the session that made it."""


def snapshot() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every app of ours and of the libraries that hold people's things, without what changes by itself."""
    with operator_work("test", "compare before and after"), scopes_disabled():
        return {model._meta.label_lower: _content(model) for model in _models()}


def _models() -> Iterator[type[models.Model]]:
    for model in apps.get_models():
        if model._meta.managed and model._meta.label_lower not in CHANGES_BY_ITSELF:
            yield model


def _content(model: type[models.Model]) -> list[tuple[Any, ...]]:
    columns = [
        column.attname for column in model._meta.concrete_fields if column.name not in {"last_login", "last_used_at"}
    ]
    return sorted(model._base_manager.values_list(*columns), key=repr)
