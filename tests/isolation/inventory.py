"""Everything there is to reach: addresses, tasks and tenants' tables, read from the platform and from no list."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db import models
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.scoping import TenantManager
from config.celery import app as celery

OURS = ("accounts", "markets", "models_ml", "signals", "trading", "alerts", "billing", "config")


PERSONS = frozenset({"accounts.DataExport"})
"""Tables that name an organization but whose rows are one person's, fenced by `app.user`."""


@dataclass(frozen=True, slots=True)
class Route:
    """One address: its name with namespaces (`accounts:role`), its text, and the names of what varies in it."""

    name: str
    text: str
    arguments: frozenset[str]


def routes() -> list[Route]:
    """Every address of the site, the console's included."""
    return sorted(_routes(get_resolver()), key=lambda route: (route.name, route.text))


def _routes(
    resolver: URLResolver, text: str = "", space: str = "", outer: frozenset[str] = frozenset()
) -> Iterator[Route]:
    for pattern in resolver.url_patterns:
        here = text + str(pattern.pattern)
        arguments = outer | frozenset(pattern.pattern.regex.groupindex)
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from _routes(pattern, here, inner, arguments)
        elif isinstance(pattern, URLPattern):
            yield Route(f"{space}{pattern.name or ''}", here, arguments)


def tenant_models() -> list[type[models.Model]]:
    """Every model whose rows belong to an organization: by its manager, or by a column that says so."""
    return [
        model
        for model in apps.get_models()
        if model._meta.label not in PERSONS
        and (
            isinstance(model._meta.default_manager, TenantManager)
            or any(column.name == "organization" for column in model._meta.concrete_fields)
        )
    ]


def owner_path(model: type[models.Model]) -> str:
    """The lookup from a tenant's model to its organization."""
    return "pk" if model._meta.label == "accounts.Organization" else "organization"


def tasks() -> list[str]:
    """The name of every task of ours that a worker takes."""
    celery.loader.import_default_modules()
    return sorted(name for name in celery.tasks if name.partition(".")[0] in OURS)
