"""The real chain: an event is published, the broadcaster sends it, the page shows it."""

import os
import time
from datetime import timedelta

from django.test import Client
from playwright.sync_api import Page, expect

from lib.clock import wall_now
from markets.models import Instrument
from signals import push
from signals.cards import cards_of
from signals.models import Round
from tests.browser.conftest import OpenPage
from tests.signals import records
from tests.signals.records import MINUTE, Market

QUIET = os.environ.get("CANDOR_QUIET") == "1"
LATEST_MS, BURST_MS = (300, 500) if QUIET else (10_000, 10_000)
"""What a page may take on a machine that does nothing else; the figures mean nothing on one that is busy."""

WATCH = """() => { window.seen = {};
  const note = (root) => { const id = root?.dataset?.round; if (id && !window.seen[id]) window.seen[id] = Date.now(); };
  new MutationObserver((changes) => changes.forEach((c) => note(c.target.closest?.('[data-card]'))))
    .observe(document.body, {subtree: true, attributes: true, attributeFilter: ['data-round']}); }"""


def publish(market: Market, rows: list[Round]) -> float:
    """Tell the page of rounds; the wall time just before, in milliseconds."""
    cards = cards_of(rows, [], [], wall_now().timestamp())
    started = time.time() * 1000
    body = {"close_time": cards[0]["close_time"], "cards": cards}
    push.publish("rounds", body, venue_id=market.run.venue_id, at=rows[0].close_time)
    return started


def decided(instrument: Instrument, market: Market, minute: int) -> Round:
    row = records.decided(instrument, market.now + MINUTE * minute, "silent", agreeing=4)
    return Round.objects.select_related("instrument__venue").get(pk=row.pk)


def shown_at(page: Page, row: Round) -> float:
    """When the page showed the round, in milliseconds of the same machine's clock."""
    name = f"round-{row.pk}"
    page.wait_for_function("(id) => window.seen[id]", arg=name, timeout=30_000)
    return float(page.evaluate("(id) => window.seen[id]", name))


def test_a_round_is_on_the_page_at_once(site: str, member: Client, open_page: OpenPage) -> None:
    market = records.market(count=1)
    records.decided(market.instruments[0], market.now - MINUTE, "silent")
    page = open_page(user=member)
    expect(page.locator("[data-link]")).to_have_text("Connected")
    page.evaluate(WATCH)
    delays = []
    for minute in range(20):
        row = decided(market.instruments[0], market, minute)
        started = publish(market, [row])
        delays.append(shown_at(page, row) - started)
    assert sorted(delays)[int(len(delays) * 0.95) - 1] <= LATEST_MS, delays


def test_fifty_cards_arrive_in_one_burst(site: str, member: Client, open_page: OpenPage) -> None:
    market = records.market(count=1)
    first = market.instruments[0]
    names = [f"X{number:02d}/USDT" for number in range(49)]
    more = [
        Instrument(venue=first.venue, raw_symbol=name, symbol=name, base=name[:3], quote="USDT", market_class="crypto",
                   tick_size=0.1, followed=True)
        for name in names
    ]  # fmt: skip
    Instrument.objects.bulk_create(more)
    page = open_page(user=member)
    expect(page.locator("[data-link]")).to_have_text("Connected")
    expect(page.locator("#instruments .row")).to_have_count(50)
    page.evaluate(WATCH)
    rows = []
    for instrument in Instrument.objects.filter(followed=True):
        records.PRICES.setdefault(instrument.base, 100.0)
        rows.append(decided(instrument, market, 0))
    started = publish(market, rows)
    assert max(shown_at(page, row) for row in rows) - started <= BURST_MS


def test_what_was_missed_behind_a_cut_is_filled_in_once(site: str, member: Client, open_page: OpenPage) -> None:
    market = records.market(count=1)
    instrument = market.instruments[0]
    page = open_page(user=member)
    expect(page.locator("[data-link]")).to_have_text("Connected")
    page.context.set_offline(True)
    expect(page.locator("[data-link]")).to_contain_text("Connection lost")
    page.evaluate("window.cut = true")
    signals = [records.issued(instrument, market.now - timedelta(minutes=3 - back)) for back in range(3)]
    for signal in signals:
        row = Round.objects.select_related("instrument__venue").get(pk=signal.round_id)
        cards = cards_of([row], [signal], [], wall_now().timestamp())
        push.publish("rounds", {"close_time": 0, "cards": cards}, venue_id=market.run.venue_id, at=row.close_time)
    page.context.set_offline(False)
    expect(page.locator("[data-latest] [data-round]")).to_have_count(3)
    shown = page.locator("[data-latest] [data-round]").evaluate_all("(rows) => rows.map((row) => row.dataset.round)")
    assert shown == [str(signal.public_id) for signal in reversed(signals)]
    assert page.evaluate("window.cut") is True
