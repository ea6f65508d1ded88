"""Who looks at the signal floor."""

import pytest
from django.test import Client

from tests.people import Person


@pytest.fixture
def member(owner: Person) -> Client:
    """A member on the Desk plan who has accepted the disclaimer."""
    return owner.client
