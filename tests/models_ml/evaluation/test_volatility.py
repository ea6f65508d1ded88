"""The comparison: same rows for everybody, nothing revealed early, equal results for equal seeds."""

import json
from io import StringIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from models_ml.agents.base import History
from models_ml.agents.volatility_forecast import qlike
from models_ml.evaluation.recordings import BadSet, read_set
from models_ml.evaluation.volatility import Order, Scored, evaluate, ratio_interval, refits
from models_ml.evaluation.volatility_report import page
from tests.models_ml.agents.markets import START, market

DAY_S = 86_400


def scores(history: History, **options: object) -> list[Scored]:
    order = Order(START + 9 * DAY_S, extra=(), horizons=(15,), **options)  # type: ignore[arg-type]  # as given
    return list(evaluate(("one", "two"), history, order))


def test_qlike_is_nothing_for_the_truth_and_hates_saying_too_little() -> None:
    y = np.array([1.0, 1.0, 1.0])
    exact, low, high = qlike(y, np.array([1.0, 0.5, 2.0]))
    assert exact == 0
    assert low > high > 0


def test_a_forecast_is_judged_on_the_rows_of_the_bar() -> None:
    found = scores(market())
    assert [score.instrument for score in found] == ["one", "two"]
    for score in found:
        assert score.n == 3 * 288 + 1 - 3  # both midnights count; the last three have no outcome yet
        assert score.days == 3
        assert score.loss["forecast"] > 0
        assert score.ratio["har"] == (1.0, 1.0, 1.0)


def test_equal_inputs_make_equal_scores() -> None:
    assert scores(market(), scored=(1,)) == scores(market(), scored=(1,))


def test_what_comes_after_a_day_changes_nothing_said_on_it() -> None:
    """Outcomes of the last day are multiplied; scores over the days before, taken from a shorter set, are the same."""
    history = market()
    cut = 11 * 1440
    wild = history.ohlcv.copy()
    wild[:, cut:] *= np.exp(np.random.default_rng(1).normal(0, 0.05, wild[:, cut:].shape[:2]))[..., None]
    until = slice(0, cut)
    calm = History(history.open_times[until], history.ohlcv[:, until], history.market)
    changed = History(history.open_times, wild, history.market)
    assert (
        scores(calm)[0].loss
        == scores(History(history.open_times[until], changed.ohlcv[:, until], history.market))[0].loss
    )


def test_fits_come_daily_at_first_and_rarely_later() -> None:
    decided = START + 300 * np.arange(288 * 100, dtype=np.int64)
    young = list(refits(decided[: 288 * 14], START + 10 * DAY_S))
    assert [until - now for now, until in young[:-1]] == [DAY_S] * 3
    old = list(refits(decided, START + 80 * DAY_S))
    assert (old[0][1] - old[0][0]) // DAY_S == 4
    assert old[0][0] == START + 80 * DAY_S
    assert old[-1][1] == decided[-1] + 1
    assert all(left[1] == right[0] for left, right in pairwise(old))


def test_the_ratio_has_an_interval_from_two_days_on() -> None:
    days = np.repeat(np.arange(30), 50)
    rng = np.random.default_rng(4)
    bar = rng.exponential(1, len(days))
    ratio, low, high = ratio_interval(0.9 * bar, bar, days)
    assert ratio == pytest.approx(0.9)
    assert low == pytest.approx(0.9)
    assert high == pytest.approx(0.9)
    assert ratio_interval(bar, bar, np.zeros(len(bar), dtype=np.int64))[1:] == (None, None)


def write(folder: Path, symbol: str, history: History, row: int) -> None:
    columns = dict(zip(("open", "high", "low", "close", "volume"), history.ohlcv[row].T, strict=True))
    stamps = pa.array(history.open_times * 1000, pa.timestamp("ms", "UTC"))
    pq.write_table(pa.table({"ts": stamps, **columns}), folder / f"venue_{symbol}_2025.parquet")


def test_the_command_prints_the_table_and_keeps_figures_and_opening(tmp_path: Path) -> None:
    for row, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
        write(tmp_path, symbol, market(), row)
    said, kept = StringIO(), tmp_path / "results" / "volatility.json"
    options = {"instruments": ["ETHUSDT"], "seeds": 1, "out": str(kept), "name": "made here", "tried": 4}
    call_command("evaluate_volatility", train=[str(tmp_path / "*.parquet")], split=0.8, stdout=said, **options)
    lines = said.getvalue().splitlines()
    assert len(lines) == 1 + 2 * 4  # two horizons, four forecasts
    assert all("venue_ETHUSDT_2025" in line for line in lines[1:])
    found = json.loads(kept.read_text())
    assert found["openings"][0]["set"] == "made here"
    assert found["openings"][0]["tried"] == 4
    assert found["openings"][0]["opened"] is True
    assert set(found["sets"]["made here"]["scores"][0]["qlike"]) == {"har", "forecast", "garch", "garch_net_0"}
    text = kept.with_suffix(".md").read_text()
    assert text == page(found)
    assert "| venue_ETHUSDT_2025 | 15 |" in text


def test_a_set_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    with pytest.raises(BadSet, match="no file matches"):
        read_set([str(tmp_path / "*.parquet")])
    write(tmp_path, "BTCUSDT", market(), 0)
    write(tmp_path, "EURUSD", market(), 1)
    with pytest.raises(BadSet, match="crypto, forex"):
        read_set([str(tmp_path / "*.parquet")])
    with pytest.raises(CommandError, match="none of venue_EURUSD_2025"):
        call_command("evaluate_volatility", train=[str(tmp_path / "*EUR*")], instruments=["XAUUSD"])
    with pytest.raises(CommandError, match="between 0 and 1"):
        call_command("evaluate_volatility", train=[str(tmp_path / "*EUR*")], split=1.5)


def test_recorded_files_make_one_axis(candor_data: Path) -> None:
    found = read_set([str(candor_data / "deriv_1m" / "deriv_*USD.parquet")])
    assert found.names == ("deriv_EURUSD", "deriv_GBPUSD")
    assert found.market_class == "forex"
    assert found.history.zone == "America/New_York"
    assert (np.diff(found.history.open_times) >= 60).all()
    assert found.history.ohlcv.shape == (2, len(found.history.open_times), 5)


def test_the_command_judges_the_other_agents(tmp_path: Path) -> None:
    for row, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
        write(tmp_path, symbol, market(2, 20), row)
    kept = tmp_path / "volatility.json"
    options = {"context": True, "sizing_steps": 512, "out": str(kept)}
    call_command("evaluate_volatility", train=[str(tmp_path / "*.parquet")], stdout=StringIO(), **options)
    found = json.loads(kept.read_text())["sets"][str(tmp_path / "*.parquet")]
    assert "scores" not in found
    moves, regime, sizing = (found["context"][name] for name in ("moves", "regime", "sizing"))
    assert [(one["instrument"], one["horizon_minutes"]) for one in moves][:2] == [
        ("venue_BTCUSDT_2025", 1),
        ("venue_BTCUSDT_2025", 15),
    ]
    assert all(0.7 < one["coverage"] < 0.9 for one in moves)
    assert isinstance(regime["shown"], bool)
    assert sizing["n"] == 2 * (4 * 288 - 1)  # every fifth minute of four days; the last has no outcome yet
    text = kept.with_suffix(".md").read_text()
    assert "in the 80 % band" in text
    assert "Learned sizing at even money" in text
