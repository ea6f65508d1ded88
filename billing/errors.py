"""What went wrong between us and Stripe, in words for whoever meets it."""

from lib.errors import CandorError


class BillingError(CandorError):
    """Something about money that cannot be done; not permanent where Stripe did not answer."""
