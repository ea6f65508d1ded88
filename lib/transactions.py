"""News leaves only after its write is committed."""

from collections.abc import Callable

from django.db import transaction


def on_commit(action: Callable[[], object]) -> None:
    """Run `action` after the surrounding transaction commits, or at once where there is none.

    A failing action is logged by Django and does not undo the committed write (robust=True): the database row is the
    truth, and every reader can catch up from it.
    """
    transaction.on_commit(action, robust=True)
