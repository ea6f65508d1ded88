"""Training on stored candles: what it leaves in the registry, and how it ends when it cannot."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from pytest_django import Settings
from safetensors.numpy import load_file

from lib import clock
from markets.books import pack_books, store_books
from markets.calendars import last_open_minutes
from markets.candles import load_ohlcv, load_panel
from markets.models import Instrument, Run, Venue
from markets.values import BookTop
from models_ml import fits
from models_ml.agents.moves import ExpectedMove
from models_ml.agents.sizing_learning import Record
from models_ml.agents.sizing_rl import SizingPolicy
from models_ml.features import FEATURES_HASH, LOOKBACK, VECTOR, WARM_UP, build_vector
from models_ml.features.cross_asset import CROSS_COLUMNS
from models_ml.models import AgentVersion, Calibration, ModelVersion, TrainingRun
from models_ml.outlook import in_force
from models_ml.profiles import QUICK
from models_ml.silences import reasons_of
from models_ml.storing import code_version
from models_ml.tasks import retrain, training_command
from models_ml.training import NothingToTrainError, _book_days, history_of, samples_of, train
from signals import confidence
from signals.rounds import samples_of_panel
from signals.scoring import panel_score
from tests.factories_market import candles_of, instruments_of, make_run, store_series, store_walk
from tests.models_ml.agents.markets import market
from tests.models_ml.agents.test_sizing_rl import decisions
from tests.trained import END, MINUTES, SEATS, TINY, Trained, forecastable

TINY_BOOKS = replace(TINY, book_hours=1.0, book_channels=4, book_width=8)
BOOK_MINUTES = 400
pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("trained")]


def test_every_voter_takes_its_seat(trained: Trained) -> None:
    assert {row["voter"] for row in trained.versions} == set(SEATS)
    for row in trained.versions:
        assert (row["state"], row["profile"], row["market_class"], row["seed"]) == ("champion", "tiny", "crypto", 7)
        assert row["venue_id"] == trained.venue["id"]
        assert row["features_hash"] == FEATURES_HASH
        assert row["trained_until"] == END
        assert row["trained_from"] == END - timedelta(minutes=MINUTES)
        assert row["code_version"] == code_version()
        assert (Path(settings.ARTIFACTS_DIR) / row["path"]).is_dir()
        assert set(row["metrics"]) == {"validation", "later", "unseen_from", "importances"}
        for name in ("validation", "later"):
            figures = row["metrics"][name].values()
            assert all(not isinstance(value, float) or math.isfinite(value) for value in figures)
        assert bool(row["metrics"]["importances"]) == (row["voter"] == "xgb")
        assert clock.epoch(row["trained_from"]) < row["metrics"]["unseen_from"] < clock.epoch(END)
        assert row["metrics"]["validation"]["n"] > 300


def test_what_can_be_forecast_is(trained: Trained) -> None:
    assert all(row["metrics"]["validation"]["auc"] > 0.8 for row in trained.versions)


def test_the_consensus_is_calibrated_on_decisions_only(trained: Trained) -> None:
    (row,) = trained.calibrations
    assert (row["seats"], row["market_class"], row["trained_until"]) == (7, "crypto", END)
    assert row["n"] == row["knots"]["decisions"] == sum(row["knots"]["n"])
    calibration = confidence.Calibration.from_knots(row["knots"])
    assert calibration is not None
    assert calibration.at(0.9) > 0.7


def test_progress_is_told_to_the_end(trained: Trained) -> None:
    assert trained.run["state"] == "done"
    assert trained.run["finished_at"] >= trained.run["started_at"]
    voters = list(dict.fromkeys(voter for voter, _, _ in trained.told if voter))
    assert set(voters) == set(SEATS)
    for voter in voters:
        steps = [(done, total) for name, done, total in trained.told if name == voter]
        assert 0 < steps[-1][0] <= steps[-1][1], "a net may stop early"
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_agents_with_too_little_history_stay_silent_and_the_run_says_why(trained: Trained) -> None:
    assert trained.run["detail"].startswith("crypto without volatility, moves, regime: 378 known windows are too few")
    assert not AgentVersion.objects.exists()


def test_a_taken_seat_is_not_given_away_untested(trained_run: Run) -> None:
    for instrument in instruments_of(trained_run):
        store_walk(instrument, END, MINUTES, seed=instrument.pk)
    train(trained_run.venue, profile=TINY, score=panel_score, seats=("random_forest",))
    champion, challenger = ModelVersion.objects.filter(voter="random_forest").order_by("pk")
    assert (champion.state, challenger.state) == ("champion", "candidate")
    test = challenger.challenge
    assert (test.champion, test.opens_at) == (champion, END), "nothing that is stored by now may judge it"
    assert test.closes_at - test.opens_at == timedelta(hours=24)
    assert Calibration.objects.filter(stack=None).count() == 1, "the panel in force keeps its own"


def test_an_update_goes_on_from_the_champion(trained_run: Run) -> None:
    """A net's line follows the newest candles and what it learned beside the line stays; trees grow anew."""
    later = clock.epoch(END) + 600 * clock.MINUTE_S
    times = later - clock.MINUTE_S * np.arange(MINUTES, 0, -1, dtype=np.int64)
    for seed, instrument in enumerate(instruments_of(trained_run)):
        store_series(instrument, times, forecastable(MINUTES, seed + 10))
    train(trained_run.venue, profile=TINY, score=panel_score, seats=("gru", "xgb"), kind=ModelVersion.Kind.UPDATE)
    old, new = ModelVersion.objects.filter(voter="gru").order_by("pk")
    assert (new.state, new.kind, new.challenge.champion) == ("candidate", "update", old)
    assert new.metrics["unseen_from"] >= old.metrics["unseen_from"]
    before, after = (load_file(Path(settings.ARTIFACTS_DIR) / one.path / "net.safetensors") for one in (old, new))
    changed = {name for name, part in before.items() if not np.array_equal(part, after[name])}
    assert "line" in changed
    assert changed <= {"centre", "scale", "line", "slope"}
    assert new.metrics["later"]["auc"] > 0.8
    grown = ModelVersion.objects.get(voter="xgb", state="candidate")
    assert grown.metrics["unseen_from"] > ModelVersion.objects.get(voter="xgb", state="champion").metrics["unseen_from"]


def test_the_book_seat_is_taken_although_books_go_back_less_far_than_candles(db: None) -> None:
    run = make_run("live", symbols=("BTC/USDT", "ETH/USDT"), due_from=END - timedelta(days=1))
    times = clock.epoch(END) - clock.MINUTE_S * np.arange(MINUTES, 0, -1, dtype=np.int64)
    for seed, instrument in enumerate(instruments_of(run)):
        candles = forecastable(MINUTES, seed)
        store_series(instrument, times, candles)
        for minute, close in zip(times[-BOOK_MINUTES:].tolist(), candles[-BOOK_MINUTES:, 3].tolist(), strict=True):
            tops = [top(instrument.symbol, minute + second, close) for second in range(5, 65, 5)]
            packed = pack_books(minute, tops, 0.01)
            assert packed is not None
            store_books(minute, {instrument.pk: packed})
    train(run.venue, profile=TINY_BOOKS, score=panel_score, seats=("xgb", "cnn_lstm_book"))
    seated = {version.voter: version for version in ModelVersion.objects.filter(state="champion").exclude(voter="meta")}
    assert set(seated) == {"xgb", "cnn_lstm_book"}
    first = {seat: version.metrics["unseen_from"] for seat, version in seated.items()}
    assert times[-BOOK_MINUTES] < first["xgb"] < first["cnn_lstm_book"] < clock.epoch(END)
    assert seated["cnn_lstm_book"].metrics["validation"]["n"] > 100


def top(symbol: str, at: float, mid: float) -> BookTop:
    sides = [tuple((round(mid + way * 0.01 * (n + 1), 2), 1.0 + n) for n in range(3)) for way in (-1, 1)]
    return BookTop(symbol, at, *sides)


# ---- the samples


@pytest.fixture
def btc(db: None) -> Instrument:
    return instruments_of(make_run(symbols=("BTC/USDT",)))[0]


def test_samples_are_the_stored_windows_with_their_features(btc: Instrument) -> None:
    store_walk(btc, END, WARM_UP + 50)
    until = clock.epoch(END)
    samples = samples_of([btc.pk], until, days=4)
    times, ohlcv = load_ohlcv(btc.pk, 0, until)
    np.testing.assert_array_equal(samples.open_times, times)
    np.testing.assert_array_equal(samples.ohlcv[0], ohlcv)
    np.testing.assert_array_equal(samples.features[0], build_vector(times, ohlcv[None])[0])
    assert samples.index.tolist() == [[0, row] for row in range(WARM_UP, WARM_UP + 50)]
    assert samples.features.shape[2] == len(VECTOR)
    assert samples.market.tolist() == [btc.pk]


def test_a_profile_bounds_the_rows_whose_features_are_built(btc: Instrument) -> None:
    """Ninety days of fifty instruments are six million rows: 30 GB, were they all built."""
    store_walk(btc, END, WARM_UP + 50)
    found = history_of([btc.pk], clock.epoch(END), replace(TINY, history_rows=20))
    assert found.features.shape == (1, 20, len(VECTOR))
    assert len(found) == 20


def test_books_take_no_more_memory_with_more_instruments() -> None:
    read = {(days, count): _book_days(days, count) for days, count in ((2, 1), (90, 1), (90, 21), (90, 50), (90, 900))}
    assert read == {(2, 1): 2, (90, 1): 7, (90, 21): 7, (90, 50): 3, (90, 900): 1}


def test_nothing_after_until_is_learned_from(btc: Instrument) -> None:
    store_walk(btc, END, WARM_UP + 50)
    until = clock.epoch(END) - 30 * 60
    samples = samples_of([btc.pk], until, days=4)
    assert samples.open_times[-1] == until - 60
    assert samples.index[:, 1].max() == len(samples.open_times) - 1


def test_the_clock_need_not_stand_on_a_minute(btc: Instrument) -> None:
    """What asks for samples of now asks at 01:10:07: the window ends with the last minute that is over."""
    store_walk(btc, END, WARM_UP + 50)
    until = clock.epoch(END)
    for second in (0, 7, 59):
        assert samples_of([btc.pk], until + second, days=4).open_times[-1] == until - 60


def test_on_a_monday_training_sees_what_a_round_sees(btc: Instrument) -> None:
    """A closed weekend is no hole: the first hours of a week look back on Friday in both."""
    Instrument.objects.filter(pk=btc.pk).update(calendar="fx")
    monday = datetime(2025, 5, 19, 6, tzinfo=UTC)
    until = clock.epoch(monday)
    times = last_open_minutes("fx", until, LOOKBACK + 30)
    rng = np.random.default_rng(3)
    store_series(btc, times, candles_of(rng.normal(0, 1e-4, len(times)), rng))
    samples = samples_of([btc.pk], until, days=3)
    np.testing.assert_array_equal(samples.open_times, times)
    live = samples_of_panel(load_panel([btc.pk], until, LOOKBACK, calendar="fx"), [btc.symbol])
    seen, shown = samples.features[0, -1], live.features[0, -1]
    own = [place for place, name in enumerate(VECTOR) if name not in CROSS_COLUMNS]
    assert np.isfinite(shown[own]).mean() > 0.98
    np.testing.assert_allclose(seen, shown, rtol=1e-5, atol=1e-7)


def test_instruments_of_two_calendars_stand_on_every_minute(btc: Instrument) -> None:
    euro = Instrument.objects.create(
        venue=btc.venue, raw_symbol="EURUSD", symbol="EUR/USD", base="EUR", quote="USD", market_class="forex",
        calendar="fx", followed=True,
    )  # fmt: skip
    store_walk(btc, END, WARM_UP + 50)
    samples = samples_of([btc.pk, euro.pk], clock.epoch(END), days=4)
    assert set(np.diff(samples.open_times).tolist()) == {clock.MINUTE_S}


def test_a_missing_candle_is_no_row(btc: Instrument) -> None:
    store_walk(btc, END - timedelta(minutes=11), WARM_UP + 20)
    store_walk(btc, END, 10)
    samples = samples_of([btc.pk], clock.epoch(END), days=4)
    missing = np.flatnonzero(~np.isfinite(samples.ohlcv[0, :, 3])).tolist()
    assert len(missing) == 1
    assert missing[0] not in samples.index[:, 1]


# ---- how it fails


def _failed() -> TrainingRun:
    run = TrainingRun.objects.get()
    assert run.state == "failed"
    assert run.finished_at is not None
    return run


@pytest.mark.parametrize("minutes", [0, 200])
def test_without_a_day_of_candles_it_says_so(btc: Instrument, minutes: int) -> None:
    if minutes:
        store_walk(btc, END, minutes)
    with pytest.raises(NothingToTrainError, match="no instrument with a day of candles: import or download some first"):
        train(btc.venue, profile=QUICK, score=panel_score)
    assert "import or download" in _failed().detail
    assert (ModelVersion.objects.count(), Calibration.objects.count()) == (0, 0)


def test_until_bounds_what_is_read(btc: Instrument) -> None:
    store_walk(btc, END, WARM_UP + 1500)
    with pytest.raises(NothingToTrainError):
        train(btc.venue, profile=QUICK, score=panel_score, until=END - timedelta(minutes=200))


def test_only_followed_or_named_instruments_are_read(btc: Instrument) -> None:
    store_walk(btc, END, WARM_UP + 1500)
    Instrument.objects.filter(pk=btc.pk).update(followed=False)
    with pytest.raises(NothingToTrainError):
        train(btc.venue, profile=QUICK, score=panel_score)
    with pytest.raises(NothingToTrainError):
        train(btc.venue, profile=QUICK, score=panel_score, symbols=["ETH/USDT"])
    told: list[TrainingRun] = []
    train(btc.venue, profile=QUICK, score=panel_score, symbols=["BTC/USDT"], seats=(), say=told.append)
    assert told[-1].state == "done"


class _StopError(Exception):
    """What a test interrupts with."""


def test_an_interrupted_training_is_marked_failed_and_raises(btc: Instrument) -> None:
    """Fault 20: whatever ends it, the registry is as it was."""
    store_walk(btc, END, WARM_UP + 1500)

    def stop(run: TrainingRun) -> None:
        if run.voter:
            raise _StopError("pulled the plug")

    with pytest.raises(_StopError):
        train(btc.venue, profile=QUICK, score=panel_score, seats=("random_forest",), say=stop)
    assert TrainingRun.objects.get().state in {"failed", "running"}
    assert not ModelVersion.objects.exists()


# ---- the agents


@pytest.fixture
def lively(db: None, settings: Settings, tmp_path: Path) -> Run:
    """Twelve days of two instruments whose volatility persists; the last minute closes at `END`."""
    settings.ARTIFACTS_DIR = tmp_path
    run = make_run()
    made = market()
    times = made.open_times + (clock.epoch(END) - clock.MINUTE_S - made.open_times[-1])
    for row, instrument in enumerate(instruments_of(run)):
        store_series(instrument, times, made.ohlcv[row])
    return run


def test_a_full_training_learns_the_agents_of_each_class(lively: Run) -> None:
    few = replace(TINY, history_days=12, history_rows=2_000)
    run = train(lively.venue, profile=few, score=panel_score, seats=())
    assert (run.state, run.detail) == ("done", "")
    rows = {row.agent: row for row in AgentVersion.objects.all()}
    assert set(rows) == {"volatility", "moves", "regime"}
    for row in rows.values():
        assert (row.market_class, row.profile, row.seed) == ("crypto", "tiny", 7)
        assert (row.trained_from, row.trained_until) == (END - timedelta(days=12), END)
        assert row.code_version == code_version()
        assert row.metrics
    assert rows["moves"].metrics["coverage_15"] == pytest.approx(0.8, abs=0.1)
    found = in_force(lively.venue_id, "crypto", clock.epoch(END))
    assert isinstance(found["moves"].agent, ExpectedMove)
    assert found["moves"].agent.volatility.profile is not None
    assert set(found["moves"].agent.volatility.profile.market.tolist()) == {one.pk for one in instruments_of(lively)}
    train(lively.venue, profile=few, score=panel_score, seats=(), kind=ModelVersion.Kind.UPDATE)
    assert AgentVersion.objects.count() == 3, "an update is of voters alone"


WIDE = replace(TINY, history_days=4)


def known_decisions(count: int) -> Callable[[int, str, datetime], Record]:
    """What a floor above hands in: so many decisions ten minutes apart, known a minute later, the last at `END`."""

    def recorded(venue_id: int, market_class: str, until: datetime) -> Record:
        assert (market_class, until) == ("crypto", END)
        made = decisions(count, 0.05)
        known = clock.epoch(END) - 600 * np.arange(count, dtype=np.int64)[::-1]
        return Record(replace(made, times=known - 60), known)

    return recorded


def test_sizing_is_learned_from_what_was_decided_and_judged(
    btc: Instrument, settings: Settings, tmp_path: Path
) -> None:
    settings.ARTIFACTS_DIR = tmp_path
    store_walk(btc, END, WARM_UP + 1_500)
    run = train(btc.venue, profile=WIDE, score=panel_score, recorded=known_decisions(1_400), seats=())
    assert "sizing_rl" not in run.detail
    row = AgentVersion.objects.get()
    assert (row.agent, row.market_class, row.seed) == ("sizing_rl", "crypto", 7)
    assert (row.trained_from, row.trained_until) == (END - timedelta(seconds=600 * 1_399 + 60), END)
    assert row.metrics["n"] == 350
    assert {"policy", "kelly", "difference", "low", "high", "beats", "learned"} <= set(row.metrics)
    assert isinstance(fits.loaded(row), SizingPolicy)


def test_too_few_decisions_leave_sizing_silent_with_a_reason(btc: Instrument) -> None:
    store_walk(btc, END, WARM_UP + 1_500)
    run = train(btc.venue, profile=WIDE, score=panel_score, recorded=known_decisions(20), seats=())
    assert run.state == "done"
    assert reasons_of(run.detail, "crypto")["sizing_rl"] == (
        "15 of the older 15 judged decisions had an edge: sizing waits for 1,000"
    )
    assert "known windows are too few" in reasons_of(run.detail, "crypto")["volatility"]
    assert not AgentVersion.objects.exists()


def test_an_update_learns_no_sizing(btc: Instrument) -> None:
    store_walk(btc, END, WARM_UP + 1_500)
    train(
        btc.venue, profile=WIDE, score=panel_score, recorded=known_decisions(1_400), seats=(),
        kind=ModelVersion.Kind.UPDATE,
    )  # fmt: skip
    assert not AgentVersion.objects.exists()


# ---- the task


def test_training_runs_as_a_child_of_the_lowest_priority() -> None:
    command = training_command("binance", "standard")
    assert command[:3] == ["nice", "-n", "19"]
    assert command[-5:] == ["train", "--venue", "binance", "--profile", "standard"]
    assert command[4].endswith("manage.py")


def test_without_a_market_nothing_is_retrained() -> None:
    assert not Venue.objects.exists()
    assert retrain() == 0


def test_the_made_up_market_can_be_forecast() -> None:
    candles = forecastable(2000, seed=3)
    moves = np.sign(candles[:, 3] - candles[:, 0])
    assert (moves[1:] == -moves[:-1]).mean() > 0.9
