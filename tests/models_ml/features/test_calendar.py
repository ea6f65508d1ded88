"""The clock's columns at moments worked out by hand."""

from datetime import UTC, datetime

import numpy as np
import pytest

from models_ml.features import COLUMNS, build
from tests.models_ml.features.walks import walk


def clock(close: datetime) -> dict[str, float]:
    """The columns of the candle that closes at `close`."""
    opened = np.array([int(close.timestamp()) - 60])
    row = build(opened, walk(1, 1), 1)[0, 0]
    return dict(zip(COLUMNS, row.tolist(), strict=True))


def test_monday_midnight_starts_every_cycle() -> None:
    row = clock(datetime(2025, 5, 5, tzinfo=UTC))
    for cycle in ("hour", "day", "week", "funding"):
        assert row[f"{cycle}_sine"] == pytest.approx(0, abs=1e-12)
        assert row[f"{cycle}_cosine"] == pytest.approx(1)
    assert row["weekend"] == 0


def test_quarters_of_the_cycles() -> None:
    assert clock(datetime(2025, 5, 7, 6, tzinfo=UTC))["day_sine"] == pytest.approx(1)
    assert clock(datetime(2025, 5, 7, 6, 30, tzinfo=UTC))["hour_cosine"] == pytest.approx(-1)
    assert clock(datetime(2025, 5, 7, 2, tzinfo=UTC))["funding_sine"] == pytest.approx(1)
    assert clock(datetime(2025, 5, 8, 12, tzinfo=UTC))["week_cosine"] == pytest.approx(-1)


@pytest.mark.parametrize(
    ("hour", "minute", "open_sessions"),
    [
        (0, 0, {"asia"}),
        (6, 59, {"asia"}),
        (7, 0, {"asia", "europe"}),
        (9, 0, {"europe"}),
        (13, 0, {"europe", "america"}),
        (16, 0, {"america"}),
        (22, 0, set()),
    ],
)
def test_sessions(hour: int, minute: int, open_sessions: set[str]) -> None:
    row = clock(datetime(2025, 5, 7, hour, minute, tzinfo=UTC))
    assert {name for name in ("asia", "europe", "america") if row[f"session_{name}"]} == open_sessions


def test_weekend_is_saturday_and_sunday() -> None:
    assert [clock(datetime(2025, 5, day, 12, tzinfo=UTC))["weekend"] for day in range(5, 12)] == [0, 0, 0, 0, 0, 1, 1]
