"""A shard's rounds, its signals and the news of both: written once, together, and never changed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import numpy as np
import orjson
import psycopg
import pytest
from django.db import InternalError, ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoCaptureOnCommitCallbacks

from lib.postgres import ensure_partitions
from markets.models import Run
from markets.values import TaintFlag
from models_ml.voters import SEATS
from models_ml.votes import AbstainReason
from signals import events
from signals.consensus import SEVEN
from signals.models import Outcome, PushEvent, Round, Signal
from signals.pipeline import Rules
from signals.publishing import save_rounds
from signals.wording import clock_text
from tests.factories_market import MINUTE, ballot, decided, instruments_of, make_run

pytestmark = pytest.mark.django_db
CLOSE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def run() -> Run:
    ensure_partitions("signals_round", CLOSE, CLOSE)
    return make_run()


def test_a_round_keeps_the_nine_votes_in_seat_order(run: Run) -> None:
    btc = instruments_of(run)[0]
    save_rounds(run, [decided(btc, CLOSE, votes=ballot(6, 1, 1))])
    row = Round.objects.get()
    assert (row.instrument_id, row.horizon_s, row.close_time, row.state) == (btc.pk, 60, CLOSE, "issued")
    assert row.directions == [1] * 6 + [-1, 0, None]
    assert row.abstained == [0] * 8 + [AbstainReason.UNTRAINED]
    assert row.p_up == pytest.approx([0.6] * 6 + [0.3, 0.45] + [None], abs=1e-6)
    assert row.p_down == pytest.approx([0.3] * 6 + [0.6, 0.45] + [None], abs=1e-6)
    assert row.p_neutral == pytest.approx([0.1] * 8 + [None], abs=1e-6)
    assert row.latency_ms == [1.5] * len(SEATS)
    assert row.model_ids == [0] * len(SEATS)
    assert (row.up_votes, row.down_votes, row.neutral_votes, row.seats, row.quorum) == (6, 1, 1, 9, 6)


def test_a_round_keeps_share_score_probability_and_risk_apart(run: Run) -> None:
    item = decided(instruments_of(run)[0], CLOSE, pattern=1)
    save_rounds(run, [item])
    row, said = Round.objects.get(), item.decision
    assert said.probability is not None
    assert row.vote_share == pytest.approx(6 / 9)
    assert row.score == pytest.approx(6 / 9 + 0.1)
    stored = (row.probability, row.probability_low, row.probability_high)
    assert stored == pytest.approx((said.probability.value, said.probability.low, said.probability.high), abs=1e-6)
    assert (row.probability_n, row.probability_source) == (400, "validation")
    assert row.risk_score == pytest.approx(said.risk_score)
    assert row.risk_parts == pytest.approx(said.risk_parts)
    assert (row.close, row.atr, row.volatility, row.taint, row.vetoes) == (100.0, 0.5, 0.001, 0, [])
    assert row.observed_at is not None
    assert (row.observed_at - CLOSE).total_seconds() == 0.5
    assert row.decision_ms == 12.5


def test_the_panel_in_force_is_stored(run: Run) -> None:
    item = decided(
        instruments_of(run)[0], CLOSE, rules=Rules(panel=SEVEN, conservative=True), volatility_percentile=0.95
    )
    save_rounds(run, [item])
    row = Round.objects.get()
    assert (row.seats, row.quorum, row.conservative) == (7, 6, True)


def test_a_signal_is_its_round_as_subscribers_see_it(run: Run) -> None:
    btc = instruments_of(run)[0]
    item = decided(btc, CLOSE, votes=ballot(0, 7))
    (round_id,) = save_rounds(run, [item])
    signal, said = Signal.objects.get(), item.decision
    assert said.probability is not None
    assert (signal.round_id, signal.instrument_id, signal.horizon_s) == (round_id, btc.pk, 60)
    assert (signal.close_time, signal.expires_at) == (CLOSE, CLOSE + MINUTE)
    assert (signal.direction, signal.entry, signal.stop, signal.target) == (-1, 100.0, 100.5, 99.0)
    assert (signal.payout, signal.tier, signal.risk_label) == (0.85, said.tier, "LOW")
    assert (signal.vote_share, signal.score) == (7 / 9, 7 / 9)
    assert (signal.probability, signal.probability_low) == (said.probability.value, said.probability.low)
    assert (signal.probability_high, signal.probability_n) == (said.probability.high, 400)
    assert (signal.probability_source, signal.expected_move_bps) == (
        "validation",
        said.levels and said.levels.expected_move_bps,
    )


STATES: list[tuple[str, str, dict[str, Any]]] = [
    ("issued", "", {}),
    ("silent", "no_consensus", {"votes": ballot(5, 1, 0)}),
    ("silent", "too_few_votes", {"votes": ballot(5, 0, 0)}),
    ("vetoed", "model_age", {"model_age": 2.0}),
    ("vetoed", "extreme_volatility", {"volatility_percentile": 1.0, "model_age": 2.0}),
    ("tainted", "tainted_data", {"taint": TaintFlag.GAP, "model_age": 9.0, "volatility_percentile": 1.0}),
    ("late", "late_data_or_decision", {"late": True}),
    ("late", "late_data_or_decision", {"late": True, "taint": TaintFlag.GAP}),
    ("late", "late_data_or_decision", {"late": True, "votes": ballot(3)}),
]


@pytest.mark.parametrize(("state", "reason", "changes"), STATES)
def test_every_decision_is_written_and_only_an_issued_one_makes_a_signal(
    run: Run, state: str, reason: str, changes: dict[str, Any]
) -> None:
    save_rounds(run, [decided(instruments_of(run)[0], CLOSE, **changes)])
    row = Round.objects.get()
    assert (row.state, row.reason) == (state, reason)
    assert Signal.objects.count() == (state == "issued")


@pytest.mark.parametrize(
    ("cast", "reason"), [((4, 2), "no_consensus"), ((5, 0), "too_few_votes"), ((0, 0), "too_few_votes")]
)
def test_a_panel_that_could_not_agree_is_told_from_one_that_did_not(
    run: Run, cast: tuple[int, int], reason: str
) -> None:
    save_rounds(run, [decided(instruments_of(run)[0], CLOSE, votes=ballot(*cast, 0))])
    assert Round.objects.get().reason == reason


def test_abstentions_outside_the_panel_do_not_count(run: Run) -> None:
    votes = ballot(3, 2, 0)
    save_rounds(run, [decided(instruments_of(run)[0], CLOSE, votes=votes, rules=Rules(panel=SEVEN))])
    assert Round.objects.get().reason == "no_consensus", "five of the seven seats could still have agreed"


def test_all_vetoes_and_taints_are_stored(run: Run) -> None:
    taint = TaintFlag.GAP | TaintFlag.STALE
    save_rounds(run, [decided(instruments_of(run)[0], CLOSE, taint=taint, model_age=2.0, quality_day=0.1)])
    row = Round.objects.get()
    assert row.vetoes == ["tainted_data", "model_age", "data_quality"]
    assert row.taint == taint


def test_what_is_unknown_is_stored_as_nothing(run: Run) -> None:
    nan = float("nan")
    item = decided(instruments_of(run)[0], CLOSE, atr=nan, volatility=float("inf"), close=nan)
    save_rounds(run, [item])
    row = Round.objects.get()
    assert (row.close, row.atr, row.volatility) == (None, None, None)
    assert (Signal.objects.get().stop, Signal.objects.get().target) == (None, None)


def test_without_a_candle_there_is_no_time_of_receipt(run: Run) -> None:
    save_rounds(run, [replace(decided(instruments_of(run)[0], CLOSE, late=True), observed_at=float("nan"))])
    assert Round.objects.get().observed_at is None


def test_numbers_as_numpy_makes_them_are_stored(run: Run) -> None:
    item = decided(instruments_of(run)[0], CLOSE)
    said = replace(item.decision, score=np.float64(0.625), risk_score=np.float64(0.25))
    save_rounds(run, [replace(item, decision=said)])
    row = Round.objects.get()
    assert (row.score, row.risk_score) == (0.625, 0.25)


def test_where_no_probability_is_stated_none_is_stored(run: Run) -> None:
    save_rounds(run, [decided(instruments_of(run)[0], CLOSE, votes=ballot(4, 4, 0))])
    row = Round.objects.get()
    assert (row.probability, row.probability_low, row.probability_high, row.probability_n) == (None,) * 4
    assert row.probability_source == ""


def test_a_ballot_that_does_not_fit_together_is_refused(run: Run) -> None:
    item = decided(instruments_of(run)[0], CLOSE)
    torn = replace(item.ballot, directions=item.ballot.directions[:8])
    with pytest.raises(ValueError, match="zip"):
        save_rounds(run, [replace(item, ballot=torn)])
    assert Round.objects.count() == 0


def test_a_shard_is_written_by_one_statement_and_the_record_is_not_read(run: Run) -> None:
    with CaptureQueriesContext(connection) as asked:
        save_rounds(run, [decided(one, CLOSE) for one in instruments_of(run)])
    assert [query["sql"].split()[0] for query in asked if "signals_round (" in query["sql"]] == ["INSERT"]
    assert not [query["sql"] for query in asked if 'FROM "signals_round"' in query["sql"]]


def test_nothing_decided_writes_nothing(run: Run) -> None:
    assert save_rounds(run, []) == []
    assert PushEvent.objects.count() == 0


# ---- once


def test_a_second_call_writes_nothing_and_says_nothing(run: Run) -> None:
    items = [decided(each, CLOSE) for each in instruments_of(run)]
    first = save_rounds(run, items)
    told = PushEvent.objects.count()
    assert save_rounds(run, items) == []
    assert sorted(first) == sorted(Round.objects.values_list("pk", flat=True))
    assert Signal.objects.count() == 2
    assert PushEvent.objects.count() == told


def test_a_second_call_adds_only_what_was_not_there(run: Run) -> None:
    btc, eth = instruments_of(run)
    save_rounds(run, [decided(btc, CLOSE, votes=ballot(5))])
    added = save_rounds(run, [decided(btc, CLOSE), decided(eth, CLOSE)])
    assert [row.instrument_id for row in Round.objects.filter(pk__in=added)] == [eth.pk]
    assert Round.objects.get(instrument=btc).state == "silent", "the first decision stands"
    assert [signal.instrument_id for signal in Signal.objects.all()] == [eth.pk]


def test_another_minute_is_another_round(run: Run) -> None:
    btc = instruments_of(run)[0]
    save_rounds(run, [decided(btc, CLOSE)])
    assert len(save_rounds(run, [decided(btc, CLOSE + MINUTE)])) == 1


@pytest.mark.django_db(transaction=True)
def test_eight_writers_at_once_write_one_round_a_key(run: Run) -> None:
    """Faults 19 and 24: the database's unique key decides, whoever is first."""
    items = [decided(each, CLOSE) for each in instruments_of(run)]
    together = Barrier(8)

    def write(_: int) -> list[int]:
        together.wait(10)
        try:
            return save_rounds(run, items)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        written = [id_ for ids in pool.map(write, range(8)) for id_ in ids]
    assert len(written) == 2
    assert sorted(written) == sorted(Round.objects.values_list("pk", flat=True))
    assert sorted(written) == sorted(Signal.objects.values_list("round_id", flat=True))
    assert PushEvent.objects.filter(kind="rounds").count() <= 2
    said = [
        card["instrument"]
        for event in PushEvent.objects.filter(kind="rounds")
        for card in orjson.loads(event.body)["cards"]
    ]
    assert sorted(said) == sorted(each.pk for each in instruments_of(run)), "every round is told once"


@pytest.mark.django_db(transaction=True)
def test_a_write_that_fails_leaves_nothing(run: Run) -> None:
    """Round, signal and news are one transaction (fault 17)."""
    btc = instruments_of(run)[0]
    save_rounds(run, [decided(btc, CLOSE)])
    with connection.cursor() as cursor, pytest.raises(InternalError), transaction.atomic():  # noqa: PT012  # the transaction
        save_rounds(run, [decided(btc, CLOSE + MINUTE)])
        assert Round.objects.count() == 2
        cursor.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '25P02'; END $$")
    assert (Round.objects.count(), Signal.objects.count()) == (1, 1)
    assert PushEvent.objects.filter(kind="rounds").count() == 1


# ---- append-only


@pytest.mark.parametrize("model", [Round, Signal, Outcome])
@pytest.mark.parametrize("change", ["update", "delete"])
def test_the_application_cannot_change_the_record(run: Run, model: type[Round | Signal | Outcome], change: str) -> None:
    save_rounds(run, [decided(instruments_of(run)[0], CLOSE)])
    table = model._meta.db_table
    statement = f"UPDATE {table} SET id = id" if change == "update" else f"DELETE FROM {table}"  # constants
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_a_partition_is_no_way_around(run: Run, app_connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute("UPDATE signals_round_2026_03 SET state = 'issued'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute("SELECT count(*) FROM signals_round_2026_03")


# ---- news


def test_news_is_a_row_of_the_same_transaction(run: Run) -> None:
    btc, eth = instruments_of(run)
    save_rounds(run, [decided(btc, CLOSE), decided(eth, CLOSE, votes=ballot(3))])
    candles, rounds = PushEvent.objects.order_by("id")
    assert (candles.kind, rounds.kind) == ("candles", "rounds")
    assert candles.at == rounds.at == CLOSE
    assert candles.venue_id == rounds.venue_id == run.venue_id
    spoken, cards = orjson.loads(candles.body), orjson.loads(rounds.body)
    close = int(CLOSE.timestamp())
    assert spoken["close_time"] == cards["close_time"] == close
    assert spoken["candles"] == {str(each.pk): [close - 60, 99.0, 101.0, 98.0, 100.0, 7.0] for each in (btc, eth)}
    assert [card["instrument"] for card in cards["cards"]] == [btc.pk, eth.pk]
    assert [card["attrs"]["state"] for card in cards["cards"]] == ["issued", "silent"]


def test_a_recordings_cards_count_down_on_its_own_clock(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(market_at=CLOSE + timedelta(seconds=15), state=Run.State.ENDED)
    run.refresh_from_db()
    save_rounds(run, [decided(instruments_of(run)[0], CLOSE)])
    (card,) = orjson.loads(PushEvent.objects.get(kind="rounds").body)["cards"]
    assert card["remaining"] == clock_text(45)


def test_events_go_up_after_the_commit_with_ids_only(
    run: Run, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []

    def on_decided(**news: Any) -> None:  # a dispatcher's arguments
        assert news["sender"] is Round
        heard.append(("decided", {"close_time": news["close_time"], "ids": news["round_ids"]}))

    def on_issued(**news: Any) -> None:  # a dispatcher's arguments
        assert news["sender"] is Signal
        heard.append(("issued", {"ids": news["signal_ids"]}))

    events.round_decided.connect(on_decided)
    events.signal_issued.connect(on_issued)
    btc, eth = instruments_of(run)
    with django_capture_on_commit_callbacks(execute=True):
        ids = save_rounds(run, [decided(btc, CLOSE), decided(eth, CLOSE, votes=ballot(2))])
        assert heard == []
    assert heard == [
        ("decided", {"close_time": int(CLOSE.timestamp()), "ids": ids}),
        ("issued", {"ids": [Signal.objects.get().pk]}),
    ]
    heard.clear()
    with django_capture_on_commit_callbacks(execute=True):
        save_rounds(run, [decided(btc, CLOSE + MINUTE, votes=ballot(2))])
    assert [kind for kind, _ in heard] == ["decided"], "a minute without a signal issues none"


def test_probabilities_survive_as_they_were_said(run: Run) -> None:
    """A stored round explains itself: the direction of a vote follows from its stored probabilities."""
    save_rounds(run, [decided(instruments_of(run)[0], CLOSE, votes=ballot(6, 2, 1))])
    row = Round.objects.get()
    lean = np.array(row.p_up, float) - np.array(row.p_down, float)
    assert np.sign(np.round(lean, 6)).tolist() == row.directions
