"""News leaves only after its write is committed."""

import pytest
from django.db import transaction

from lib.transactions import on_commit

pytestmark = pytest.mark.django_db(transaction=True)


class _UndoneError(Exception):
    """Rolls a transaction back."""


def test_news_waits_for_the_commit() -> None:
    told: list[str] = []
    with transaction.atomic():
        on_commit(lambda: told.append("news"))
        assert told == []
    assert told == ["news"]


def test_news_of_an_undone_write_is_never_told() -> None:
    told: list[str] = []
    with pytest.raises(_UndoneError), transaction.atomic():  # noqa: PT012  # the block is the transaction
        on_commit(lambda: told.append("news"))
        raise _UndoneError
    assert told == []


def test_outside_a_transaction_it_is_told_at_once() -> None:
    told: list[str] = []
    on_commit(lambda: told.append("news"))
    assert told == ["news"]


def test_news_that_fails_undoes_nothing_and_stops_no_other() -> None:
    told: list[str] = []

    def fail() -> None:
        raise _UndoneError

    with transaction.atomic():
        on_commit(fail)
        on_commit(lambda: told.append("next"))
    assert told == ["next"]
