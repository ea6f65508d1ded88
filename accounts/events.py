"""What other apps may listen to. Receivers connect when their app is ready and run inside the write's transaction."""

from django.dispatch import Signal

plan_changed = Signal()
"""Sent with `organization_id: int`, `before: str`, `after: str` (plan keys)."""

membership_changed = Signal()
"""Sent with `organization_id: int`, `user_id: int` when someone joins, leaves or changes role."""

person_erasing = Signal()
"""Sent with `user_id: int`, inside the erasing transaction and its operator work, before the person's rows go.

What the law wants kept (invoices) is anonymised by the receiver; an error in a receiver stops the erasure."""

organization_erasing = Signal()
"""Sent with `organization_id: int`, in the same way, before the organization's rows go."""

sessions_ended = Signal()
"""Sent with `user_id: int` when sessions of a person were ended by an act of theirs or by an operator."""
