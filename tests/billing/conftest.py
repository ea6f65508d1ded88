"""A shop for every test that wants one."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from pytest_django import Settings

from billing.sandbox.server import Sandbox
from tests.billing.shop import SECRETS, Shop


@pytest.fixture
def shop(settings: Settings, db: None) -> Iterator[Shop]:
    """Billing switched on, against a fresh sandbox that keeps its events until they are asked for."""
    with Sandbox() as sandbox:
        sandbox.hold()
        settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = sandbox.key, sandbox.url
        settings.STRIPE_WEBHOOK_SECRETS = SECRETS
        cache.clear()
        yield Shop(sandbox)
    cache.clear()
