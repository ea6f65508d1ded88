"""What a venue may do wrong, each scenario held to the oracle, and each oracle shown to see the defect it is for."""

import pytest

from tests.faults.stage import IDS, staged

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults"), pytest.mark.django_db(transaction=True)]


def test_nothing_wrong() -> None:
    """The oracle is quiet where nothing happened."""
    with staged() as stage:
        for _ in range(3):
            stage.minute()
        assert stage.violations() == []
        assert stage.state() == "live"
