"""The five lenses with a round: stored as said, shown beside the nine, and without any part in the decision."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.test import Client

from lib import clock
from lib.postgres import ensure_partitions
from markets.candles import load_panel
from models_ml.features import VECTOR
from models_ml.lenses import LENS_KEYS
from models_ml.lenses.looking import look_at
from models_ml.lenses.second_panel import count
from signals import rounds
from signals.cards import card_of
from signals.gallery import AT, LENS_FACTS, example
from signals.models import Round
from signals.reading import facts_of
from tests.factories_market import instruments_of, make_run, store_walk
from tests.signals import records

CLOSE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SAID = [(lens.direction, lens.reason) for lens in LENS_FACTS]


@pytest.mark.django_db
def test_a_minute_stores_what_the_lenses_saw() -> None:
    ensure_partitions("signals_round", CLOSE, CLOSE)
    run = make_run("simulated", due_from=CLOSE)
    for seed, instrument in enumerate(instruments_of(run)):
        store_walk(instrument, CLOSE, rounds.BARS, seed=seed)
    ids = [instrument.pk for instrument in instruments_of(run)]
    rounds.decide_minute(clock.epoch(CLOSE), ids, received=time.time())
    symbols = [instrument.symbol for instrument in instruments_of(run)]
    samples = rounds.samples_of_panel(load_panel(ids, clock.epoch(CLOSE), rounds.BARS), symbols)
    expected = dict(zip(ids, look_at(VECTOR, samples.features[:, -1]), strict=True))
    for row in Round.objects.all():
        sights = expected[row.instrument_id]
        assert row.lens_directions == [sight.direction for sight in sights]
        assert row.lens_reasons == [sight.reason for sight in sights]
        assert row.lens_reasons[LENS_KEYS.index("sentimental")] == "No headline is known."
        assert (row.direction, row.up_votes, row.down_votes) == (0, 0, 0), "lenses are no votes of the nine"


@pytest.mark.django_db
def test_facts_count_the_lenses_with_the_language_models_of_the_round() -> None:
    market = records.market(count=1)
    row = records.decided(
        market.instruments[0],
        market.now,
        lens_directions=[1, 1, 1, 1, 0],
        lens_reasons=["It rose."] * 5,
        directions=[1] * 8 + [None],
    )
    (facts,) = facts_of([Round.objects.get(pk=row.pk)], [], [])
    assert facts.panel == count([1, 1, 1, 1, 0], [1, None])
    assert facts.panel is not None
    assert facts.panel.strength == "strong"
    assert [lens.lens for lens in facts.lenses] == list(LENS_KEYS)


@pytest.mark.django_db
def test_a_round_older_than_the_lenses_has_no_second_panel() -> None:
    market = records.market(count=1)
    row = records.decided(market.instruments[0], market.now, lens_directions=[], lens_reasons=[])
    (facts,) = facts_of([Round.objects.get(pk=row.pk)], [], [])
    assert (facts.lenses, facts.panel) == ((), None)
    card = card_of(facts, AT)
    assert (card["lenses"], card["lens_line"], card["lens_counts"]) == ([], "", "")


def test_a_card_says_strength_side_and_the_seven() -> None:
    card = card_of(example(), AT)
    assert card["lens_line"] == "Second panel: basic up"
    assert card["lens_counts"] == (
        "Basic up: 4 of 5 lenses, 4 of 7 with the language models · 4 up · 0 down · 1 neutral · 2 abstained"
    )
    assert [lens["word"] for lens in card["lenses"]] == ["up", "up", "neutral", "up", "up"]
    assert all(lens["reason"] for lens in card["lenses"])


def test_a_tie_is_called_one() -> None:
    tied = replace(example(), panel=count([1, 1, -1, -1, 0], [None, None]))
    assert card_of(tied, AT)["lens_line"] == "Second panel: tie"


@pytest.mark.django_db(transaction=True)
def test_page_and_api_show_the_same_five(member: Client) -> None:
    market = records.market(count=1)
    ways, reasons = zip(*SAID, strict=True)
    signal = records.issued(market.instruments[0], market.now, lens_directions=[*ways], lens_reasons=[*reasons])
    page = member.get(f"/signals/{signal.public_id}/").content.decode()
    told = member.get(f"/api/v1/rounds/{signal.public_id}/").json()["second_panel"]
    assert [(lens["direction"], lens["reason"]) for lens in told["lenses"]] == SAID
    assert (told["strength"], told["direction"], told["abstained"]) == ("basic", 1, 2)
    for _, reason in SAID:
        assert reason.replace("'", "&#x27;") in page
    assert "Five lenses" in page
