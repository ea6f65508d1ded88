"""What leaves of billing in a copy of all data, and what stays when an organization is erased."""

from accounts.exporting import Erasure, Excused, Exported

_INVOICES = "invoices must be kept for years, and name whom they were for by this row's Stripe id; it names no person"

EXPORTS: dict[str, Exported | Excused] = {
    "billing.Customer": Exported(
        ("stripe_id", "currency", "created_at"),
        organization="organization",
        erase=Erasure.KEEP,
        why=_INVOICES,
    ),
    "billing.Subscription": Exported(
        (
            "stripe_id",
            "status",
            "plan",
            "interval",
            "currency",
            "amount",
            "quantity",
            "period_end",
            "cancel_at_period_end",
            "trial_end",
            "past_due_since",
            "started_at",
        ),
        organization="organization",
        erase=Erasure.KEEP,
        why=_INVOICES,
    ),
    "billing.CheckoutAttempt": Exported(
        ("lookup_key", "currency", "state", "created_at"), person="user", organization="organization"
    ),
}
