"""People who look at the signal floor."""

import pytest
from django.test import Client

from accounts.accepting import accept_terms
from accounts.demo import OWNER, create_demo
from accounts.models import User


@pytest.fixture
def member() -> Client:
    """A member on the Desk plan who has accepted the disclaimer."""
    create_demo({OWNER: "secret-secret", "operator@candor.local": "secret-secret"})
    user = User.objects.get(email=OWNER)
    accept_terms(user, None)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client
