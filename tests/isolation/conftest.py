"""What the walk takes from the other batteries."""

from tests.billing.conftest import shop

__all__ = ["shop"]
