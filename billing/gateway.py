"""Calls to Stripe: one client, short time-outs, and errors that say whether trying again helps.

Objects have the shapes of the stripe library (https://docs.stripe.com/api, version pinned by the library).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from urllib.parse import urlsplit

import stripe
import structlog
from django.conf import settings
from django.utils.translation import gettext as _

from billing.errors import BillingError

CONNECT_S = 3.0
RETRIES = 1
PAGES = ("https://checkout.stripe.com", "https://billing.stripe.com", "https://invoice.stripe.com")
"""Where Stripe's own pages live, for forms that lead there."""

log = structlog.get_logger(__name__)


def enabled() -> bool:
    """Whether anybody can pay here; without a key the platform is self-hosted."""
    return bool(settings.STRIPE_SECRET_KEY)


def client() -> stripe.StripeClient:
    """The client of the configured account."""
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, settings.STRIPE_TIMEOUT_S)


@lru_cache(maxsize=4)
def _client(key: str, base: str, timeout_s: float) -> stripe.StripeClient:
    http = stripe.RequestsClient(timeout=(CONNECT_S, timeout_s))
    return stripe.StripeClient(key, base_addresses={"api": base}, http_client=http, max_network_retries=RETRIES)


def is_sandbox() -> bool:
    """Whether another server than Stripe's answers: no real money moves."""
    return urlsplit(settings.STRIPE_API_BASE).hostname != "api.stripe.com"


def page_origins() -> list[str]:
    """Origins that our forms may lead to."""
    base = urlsplit(settings.STRIPE_API_BASE)
    return [f"{base.scheme}://{base.netloc}"] if is_sandbox() else list(PAGES)


@contextmanager
def speaking(what: str) -> Iterator[None]:
    """Turn Stripe's errors into ours.

    Args:
        what: what is being done, for the log.

    Raises:
        BillingError: permanent where Stripe refused, else it did not answer or was too busy.
    """
    try:
        yield
    except stripe.CardError as error:
        raise BillingError(str(error.user_message or _("The card was declined."))) from error
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise _away(what, error) from error
    except stripe.StripeError as error:
        if (error.http_status or 500) >= 500:  # HTTP's own boundary
            raise _away(what, error) from error
        log.warning("stripe refused", what=what, error=str(error), code=error.code)
        text = _("The payment provider refused this request: %s")
        raise BillingError(text % (error.user_message or error)) from error


def _away(what: str, error: stripe.StripeError) -> BillingError:
    log.warning("stripe does not answer", what=what, error=str(error))
    text = _("The payment provider does not answer. Nothing was charged; try again in a minute.")
    return BillingError(text, permanent=False)
