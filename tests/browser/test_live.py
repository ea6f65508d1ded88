"""The live page: events fill slots, clocks run by the server's time, a lost line is said."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from lib.clock import wall_now
from signals.cards import Card, cards_of
from signals.models import Outcome, Round, Signal
from tests.browser.conftest import OpenPage, Watched, Wire
from tests.signals import records
from tests.signals.records import MINUTE, Market

OUTLOOK = {"bands": {"1": [-4e-4, 4e-4], "15": [-1.6e-3, 1.5e-3], "60": [-3.3e-3, 3.2e-3]}, "agents": {"moves": 3}}
CLOCKS = re.compile(r"\d+:\d\d\b(?!:)|resolving|\d+ (s|min|h) ago|stale since [\d:]+")
"""Texts that depend on the second they are read in."""


def card_of(row: Round, signal: Signal | None = None, outcome: Outcome | None = None) -> Card:
    """The card that an event would carry."""
    fresh = Round.objects.select_related("instrument__venue").get(pk=row.pk)
    return cards_of([fresh], [signal] if signal else [], [outcome] if outcome else [], wall_now().timestamp())[0]


def words(page: Page, selector: str = "#focus") -> str:
    """The visible text of a part of the page, without what clocks write."""
    text = page.locator(selector).inner_text()
    return " ".join(CLOCKS.sub("", text).split())


def run(page: Page, wire: Wire, seconds: int) -> None:
    """Let the page's time pass, with the signs of life that the server gives."""
    for _ in range(seconds):
        page.clock.run_for(1_000)
        wire.send({"type": "ping"})


def say(wire: Wire, kind: str, number: int, *cards: Card) -> None:
    wire.send({"type": kind, "id": number, "close_time": cards[0]["close_time"], "cards": list(cards)})


@pytest.fixture
def market() -> Market:
    """Two instruments with candles; the newest round of each is silent."""
    made = records.market(count=2)
    for instrument in made.instruments:
        records.candles(instrument, made.now, 120)
        records.decided(instrument, made.now - MINUTE, "silent", agreeing=4)
    return made


def test_page_and_events_equal_a_fresh_page(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    page = open_page(user=member, before=wire.attach)
    expect(page.locator("[data-link]")).to_have_text("Connected")
    first, second = market.instruments
    before = market.now - MINUTE
    signal = records.issued(first, market.now - MINUTE * 3)
    won = records.judged(signal, "won")
    judged = Round.objects.get(pk=signal.round_id)
    say(wire, "rounds", 1, card_of(judged, signal))
    say(wire, "outcomes", 2, card_of(judged, signal, won))
    veto = records.decided(second, before + MINUTE, "vetoed", vetoes=["extreme_volatility", "model_age"])
    live = records.issued(first, before + MINUTE)
    say(wire, "rounds", 3, card_of(Round.objects.get(pk=live.round_id), live), card_of(veto))
    expect(page.locator("#focus [data-slot=headline]")).to_have_text("UP")
    fresh = open_page(user=member, before=Wire().attach)
    for part in ("#focus", "[data-latest]", "#instruments nav"):
        assert words(page, part) == words(fresh, part), part
    assert page.locator("[data-latest] [data-outcome=won]").count() == 1


def test_every_kind_of_round_fills_the_same_card(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    page = open_page(user=member, before=wire.attach)
    expect(page.locator("[data-link]")).to_have_text("Connected")
    instrument = market.instruments[0]
    changes: list[tuple[str, dict[str, Any]]] = [
        ("tainted", {"taint": 1}),
        ("issued", {"direction": -1, "outlook": OUTLOOK}),
        ("late", {"reason": "late_data_or_decision"}),
        ("issued", {"probability_n": 40}),
        ("vetoed", {"vetoes": ["risk_score"]}),
        ("missed", {"reason": "platform_down", "abstained": [], "p_up": [], "p_down": [], "p_neutral": []}),
        ("silent", {"agreeing": 5}),
    ]
    for number, (state, facts) in enumerate(changes, 1):
        at = market.now + MINUTE * number
        signal = records.issued(instrument, at, **facts) if state == "issued" else None
        row = Round.objects.get(pk=signal.round_id) if signal else records.decided(instrument, at, state, **facts)
        say(wire, "rounds", number, card_of(row, signal))
        expect(page.locator("#focus")).to_have_attribute("data-state", state)
        fresh = open_page(user=member, before=Wire().attach)
        assert words(page) == words(fresh), state
        assert ("80 % range, 15 min" in words(page)) == ("outlook" in facts), state
        fresh.close()


def test_an_event_seen_twice_changes_nothing(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    page = open_page(user=member, before=wire.attach)
    expect(page.locator("[data-link]")).to_have_text("Connected")
    signal = records.issued(market.instruments[0], market.now)
    card = card_of(Round.objects.get(pk=signal.round_id), signal)
    for number in (7, 7, 6):
        say(wire, "rounds", number, card)
    expect(page.locator("[data-latest] [data-round]")).to_have_count(1)


def test_the_countdown_runs_by_the_servers_clock(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    signal = records.issued(market.instruments[0], market.now)

    def wrong_clock(page: Page) -> None:
        page.clock.install(time=wall_now() + timedelta(seconds=90))
        page.clock.pause_at(wall_now() + timedelta(seconds=91))  # and stands: time passes when the test says so
        wire.attach(page)

    wire.now_s = signal.expires_at.timestamp() - 50
    page = open_page(user=member, before=wrong_clock)
    timer = page.locator("#focus [data-countdown]")
    expect(page.locator("[data-link]")).to_have_text("Connected")
    run(page, wire, 1)
    assert timer.inner_text() == "0:49"
    run(page, wire, 19)
    assert timer.inner_text() == "0:30"
    run(page, wire, 29)
    assert timer.inner_text() == "0:01"
    for seconds in (2, 5):
        run(page, wire, seconds)
        assert timer.inner_text() == "resolving"
    lost = records.judged(signal, "lost")
    say(wire, "outcomes", 1, card_of(Round.objects.get(pk=signal.round_id), signal, lost))
    expect(timer).to_be_hidden()
    expect(page.locator("#focus .outcome [data-slot=outcome]")).to_have_text("Lost")


def test_a_lost_line_is_said_within_five_seconds_and_comes_back(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    def clocked(page: Page) -> None:
        page.clock.install()
        wire.attach(page)

    page = open_page(user=member, before=clocked)
    link = page.locator("[data-link]")
    expect(link).to_have_text("Connected")
    wire.greet = False  # the line is there and says nothing, as behind a black hole
    page.clock.run_for(5_000)
    expect(link).to_have_text(re.compile(r"^Connection lost, as of \d\d:\d\d:\d\d$"), timeout=1_000)
    expect(page.locator("#focus .widget-note").first).to_contain_text("Reconnecting: values as of")
    wire.greet = True
    expect(link).to_have_text("Connected")
    assert len(wire.hellos) >= 2
    expect(page.locator("#focus .widget").first).to_have_attribute("data-widget-state", re.compile("live|stale"))


def test_stale_values_never_look_live(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    def clocked(page: Page) -> None:
        page.clock.install()
        wire.attach(page)

    page = open_page(user=member, before=clocked)
    expect(page.locator("[data-link]")).to_have_text("Connected")
    run(page, wire, 240)
    fresh = page.locator("[data-fresh]")
    assert fresh.count() >= 4
    for place in range(fresh.count()):
        expect(fresh.nth(place)).to_have_class(re.compile("is-stale"))
        expect(fresh.nth(place)).to_contain_text(re.compile("stale since", re.IGNORECASE))


def test_a_paused_board_waits_and_then_catches_up(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    page = open_page(user=member, before=wire.attach)
    expect(page.locator("[data-link]")).to_have_text("Connected")
    pause = page.locator("[data-pause]")
    pause.click()
    signal = records.issued(market.instruments[0], market.now)
    say(wire, "rounds", 1, card_of(Round.objects.get(pk=signal.round_id), signal))
    expect(pause).to_have_text("Resume (1 waiting)")
    expect(page.locator("#focus [data-slot=headline]")).to_have_text("No signal")
    pause.click()
    expect(page.locator("#focus [data-slot=headline]")).to_have_text("UP")


def test_new_signals_are_announced_once_and_ticks_never(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    page = open_page(user=member, before=wire.attach)
    expect(page.locator("[data-link]")).to_have_text("Connected")
    page.evaluate(
        """() => { window.said = [];
        new MutationObserver(() => window.said.push(document.getElementById('announcer').textContent))
          .observe(document.getElementById('announcer'), {childList: true, characterData: true, subtree: true}); }"""
    )
    first, second = market.instruments
    cards = []
    for instrument in (first, second):
        signal = records.issued(instrument, market.now)
        cards.append(card_of(Round.objects.get(pk=signal.round_id), signal))
    say(wire, "rounds", 1, *cards)
    at = int(wall_now().timestamp())
    for tick in range(20):
        wire.send({"type": "prices", "prices": {str(first.pk): [61_000 + tick, at]}, "forming": {}})
    expect(page.locator(f"[data-price='{first.pk}']")).to_have_text("61,019.0")
    said = page.evaluate("window.said")
    assert said == ["2 new signals: BTC/USDT up, 7 of 9 voters agree; ETH/USDT up, 7 of 9 voters agree"]


def test_prices_move_the_candle_and_the_row(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    page = open_page(user=member, before=wire.attach)
    area = page.locator("[data-chart-area]")
    expect(area).to_have_attribute("data-bars", "120")
    instrument, at = market.instruments[0], int(market.now.timestamp())
    forming = [at, 61_000.0, 61_100.0, 60_900.0, 61_050.5, 3.0]
    wire.send(
        {"type": "prices", "prices": {str(instrument.pk): [61_050.5, at + 5]}, "forming": {str(instrument.pk): forming}}
    )
    expect(page.locator(f"[data-price='{instrument.pk}']")).to_have_text("61,050.5")
    expect(area).to_have_attribute("data-last", "61050.5")


def test_a_resync_brings_what_was_missed(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    page = open_page(user=member, before=wire.attach)
    expect(page.locator("[data-link]")).to_have_text("Connected")
    records.issued(market.instruments[0], market.now)
    wire.send({"type": "resync"})
    expect(page.locator("#focus [data-slot=headline]")).to_have_text("UP")


def test_another_instrument_and_timeframe_without_a_reload(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire, watched: Watched
) -> None:
    page = open_page(user=member, before=wire.attach)
    expect(page.locator("[data-chart-area]")).to_have_attribute("data-bars", "120")
    page.evaluate("window.same = true")
    page.locator("#instruments .row", has_text="ETH/USDT").click()
    expect(page.locator("#focus .widget-title").first).to_contain_text("ETH/USDT")
    expect(page.locator("#chart .widget-title")).to_contain_text("ETH/USDT")
    page.get_by_role("link", name="15m").click()
    expect(page.locator("[data-chart-area]")).to_have_attribute("data-bars", re.compile("^(8|9)$"))
    assert page.evaluate("window.same") is True


def test_the_market_shown_is_unmistakable(site: str, market: Market, open_page: OpenPage, wire: Wire) -> None:
    records.market("replay", 1, speed=60.0)
    page = open_page(before=wire.attach)
    expect(page.locator(".market")).to_contain_text("Replay of Binance at ×60")


def test_the_record_of_a_signal_grows_its_outcome_and_is_never_stale(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    signal = records.issued(market.instruments[0], market.now - MINUTE * 20)
    page = open_page(f"/signals/{signal.public_id}/", user=member, before=wire.attach)
    expect(page.locator("[data-link]")).to_have_text("Connected")
    expect(page.locator("[data-countdown]")).to_have_text("resolving")
    won = records.judged(signal, "won")
    say(wire, "outcomes", 1, card_of(Round.objects.get(pk=signal.round_id), signal, won))
    expect(page.locator("#live .verdict .outcome")).to_contain_text("Won")
    expect(page.locator(".life")).to_contain_text("the next candle opened at")
    assert page.locator(".is-stale").count() == 0


def test_training_and_feeds_are_told_as_they_change(
    site: str, market: Market, member: Client, open_page: OpenPage, wire: Wire
) -> None:
    page = open_page(user=member, before=wire.attach)
    expect(page.locator("[data-link]")).to_have_text("Connected")
    progress = {"type": "progress", "stage": "training", "state": "running", "voter": "lstm", "done": 2, "total": 7}
    wire.send({**progress, "id": 1, "voter": "", "done": 0, "total": 0})
    expect(page.locator("[data-progress]")).to_contain_text("starting")
    wire.send({**progress, "id": 2})
    expect(page.locator("[data-progress]")).to_contain_text("Training the panel: lstm")
    expect(page.locator("[data-progress]")).to_contain_text("2 of 7")
    wire.send({**progress, "id": 3, "state": "done", "done": 7})
    expect(page.locator("[data-progress]")).to_be_hidden()
    wire.send({**progress, "id": 4})
    expect(page.locator("[data-progress]")).to_be_visible()
    wire.send({**progress, "id": 5, "state": "failed"})
    expect(page.locator("[data-progress]")).to_be_hidden()
    down = {"venue": market.run.venue.key, "state": "down", "since": int(market.now.timestamp())}
    wire.send({"type": "feeds", "id": 6, "feeds": [down]})
    expect(page.locator("[data-feed-state] .say")).to_have_text("down")
