"""A customer's invoices, read from Stripe when the page is opened."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from billing.catalogue import money
from billing.gateway import client, speaking
from billing.models import Customer
from lib.clock import from_epoch

SHOWN = 50


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """One invoice as the page shows it."""

    number: str
    at: datetime
    amount: str
    status: str
    word: str
    page: str
    pdf: str


def invoices_of(customer: Customer) -> list[InvoiceRow]:
    """The newest invoices; BillingError where Stripe does not answer."""
    with speaking("invoices"):
        found = client().v1.invoices.list({"customer": customer.stripe_id, "limit": SHOWN}).data
    words = {
        "draft": _("In preparation"),
        "open": _("Open"),
        "paid": _("Paid"),
        "uncollectible": _("Not collected"),
        "void": _("Void"),
    }
    return [
        InvoiceRow(
            invoice.number or _("not numbered yet"),
            from_epoch(invoice.created),
            money(invoice.total, invoice.currency),
            invoice.status or "",
            words.get(invoice.status or "", invoice.status or ""),
            invoice.hosted_invoice_url or "",
            invoice.invoice_pdf or "",
        )
        for invoice in found
    ]
