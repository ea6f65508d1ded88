"""Secrets of an organization: put, revealed to the code that needs them, forgotten, and sealed anew under a new key.

Nothing here ever gives a secret to a page: what is stored can be replaced or forgotten, not looked at again.
"""

from collections.abc import Callable, Iterator
from typing import Any

from django.apps import apps
from django.db import transaction
from django.db.models import Model
from django.db.models.functions import Now

from accounts.audit import operator_work, record
from accounts.models import Organization, TenantSecret, User
from lib.sealing import VERSION, is_current, seal, unseal

BATCH = 50
MFA = "mfa"
"""Context of what second factors are sealed in (`accounts.adapter`)."""


def put_secret(organization: Organization, kind: str, name: str, plain: str, by: User) -> TenantSecret:
    """Store a secret of the entered organization, in place of one of the same kind and name.

    Args:
        organization: the entered one.
        kind: what it opens, such as `exchange`; exchange keys must be read-only ones.
        name: which one, such as `kraken`.
        plain: the secret.
        by: who stored it.
    """
    with transaction.atomic():
        TenantSecret.objects.filter(organization=organization, kind=kind, name=name).delete()
        secret = TenantSecret(organization=organization, kind=kind, name=name)
        secret.sealed = seal(plain, context=secret.context)
        secret.save(force_insert=True)
        record("secret.stored", user=by, organization_id=organization.pk, kind=kind, name=name)
    return secret


def reveal_secret(organization: Organization, kind: str, name: str) -> str | None:
    """The secret in plain, for code that uses it now; None where there is none.

    Raises:
        SealingError: it does not open: damaged, copied here from elsewhere, or its key is gone.
    """
    secret = TenantSecret.objects.filter(organization=organization, kind=kind, name=name).first()
    if secret is None:
        return None
    plain = unseal(secret.sealed, context=secret.context)
    TenantSecret.objects.filter(pk=secret.pk).update(last_used_at=Now())
    return plain


def forget_secret(secret: TenantSecret, by: User) -> None:
    """Delete a secret of the entered organization."""
    with transaction.atomic():
        record("secret.forgotten", user=by, organization_id=secret.organization_id, kind=secret.kind, name=secret.name)
        secret.delete()


def rotate() -> int:
    """Seal everything anew that is not under the newest key; number of rows. Small transactions: the site runs on."""
    done = _rotate("accounts.TenantSecret", _renew_secret)
    if apps.is_installed("allauth.mfa"):
        done += _rotate("mfa.Authenticator", _renew_factor)
    return done


def _rotate(label: str, renew: Callable[[Any], bool]) -> int:
    model, done = apps.get_model(label), 0
    for keys in _batches(model):
        with operator_work("command:rotate_secrets", f"seal rows of {label} under the newest key"):
            rows = model._default_manager.select_for_update().filter(pk__in=keys).order_by("pk")
            done += sum(renew(row) for row in rows)
    return done


def _batches(model: type[Model]) -> Iterator[list[object]]:
    with operator_work("command:rotate_secrets", f"list rows of {model._meta.label}"):
        keys: list[object] = list(model._default_manager.order_by("pk").values_list("pk", flat=True))
    for at in range(0, len(keys), BATCH):
        yield keys[at : at + BATCH]


def _renew_secret(secret: TenantSecret) -> bool:
    if is_current(secret.sealed):
        return False
    secret.sealed = seal(unseal(secret.sealed, context=secret.context), context=secret.context)
    secret.save(update_fields=["sealed"])
    return True


def _renew_factor(factor: Any) -> bool:  # noqa: ANN401  # the library carries no types
    fresh = _renewed(factor.data)
    if fresh == factor.data:
        return False
    factor.data = fresh
    factor.save(update_fields=["data"])
    return True


def _renewed(value: Any) -> Any:  # noqa: ANN401  # JSON
    """The JSON with each sealed text in it sealed anew; what is not sealed stays as it is."""
    if isinstance(value, dict):
        return {name: _renewed(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_renewed(part) for part in value]
    if isinstance(value, str) and value.startswith(f"{VERSION}.") and not is_current(value):
        return seal(unseal(value, context=MFA), context=MFA)
    return value
