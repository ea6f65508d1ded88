"""Pages as visitor and member, with a market and without."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from accounts.demo import OWNER, create_demo
from accounts.models import User
from accounts.plans import FREE
from markets.models import Venue
from signals.errors import bad_request, forbidden, server_error, too_many
from signals.prefs import Preferences, parse
from tests.factories import make_organization, make_user
from tests.people import person
from tests.signals import records
from tests.signals.records import MINUTE

pytestmark = pytest.mark.django_db(transaction=True)
PAGES = ("/", "/history", "/patterns", "/settings", "/disclaimer/", "/terms/", "/gallery/")


class Outline(HTMLParser):
    """What a page's structure promises: one h1, unique ids, no inline style or script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.h1 = 0
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self.ids += [name for name in (facts.get("id"),) if name]
        self.h1 += tag == "h1"
        self.inline += [f"{tag} style"] if "style" in facts else []
        self.inline += [f"{tag} {name}" for name in facts if name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in facts):
            self.inline.append(tag)


def test_every_page_works_before_the_first_market(client: Client) -> None:
    for page in PAGES:
        assert client.get(page).status_code == 200, page


def test_every_page_is_well_built(client: Client, member: Client) -> None:
    records.busy(2, rounds=20, bars=60)
    for who, page in [(client, page) for page in PAGES] + [(member, page) for page in PAGES]:
        outline = Outline(who.get(page).content.decode())
        assert outline.h1 == 1, page
        assert len(outline.ids) == len(set(outline.ids)), page
        assert outline.inline == [], page


def test_a_visitor_sees_the_landing_page_and_a_member_the_board(client: Client, member: Client) -> None:
    records.busy(2, rounds=20, bars=60)
    assert b"Create an account" in client.get("/").content
    assert b"Nine votes" in member.get("/").content


def test_a_visitor_sees_only_what_is_older_than_the_delay(client: Client, member: Client) -> None:
    market = records.market(count=1)
    new = records.issued(market.instruments[0], market.now)
    old = records.issued(market.instruments[0], market.now - timedelta(minutes=17))
    assert str(new.public_id) in member.get("/").content.decode()
    text = client.get("/").content.decode()
    assert str(old.public_id) in text
    assert str(new.public_id) not in text
    assert client.get(f"/signals/{new.public_id}/").status_code == 404
    assert client.get(f"/signals/{old.public_id}/").status_code == 200


def test_a_member_who_has_not_accepted_sees_a_prompt_and_the_delay(client: Client) -> None:
    market = records.market(count=1)
    new = records.issued(market.instruments[0], market.now)
    create_demo({OWNER: "secret-secret", "operator@candor.local": "secret-secret"})
    client.force_login(User.objects.get(email=OWNER), backend="django.contrib.auth.backends.ModelBackend")
    text = client.get("/").content.decode()
    assert 'href="/accept/"' in text
    assert str(new.public_id) not in text


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Venue.Kind.LIVE, "Live: Binance"),
        (Venue.Kind.SIMULATED, "Simulated market"),
        (Venue.Kind.REPLAY, "Replay of Binance at ×60"),
    ],
)
def test_every_page_says_which_market_it_shows(client: Client, kind: str, words: str) -> None:
    records.market(kind, 1, speed=60.0)
    for page in PAGES:
        text = client.get(page).content.decode()
        assert words in text, page
        assert f'data-kind="{kind}"' in text, page


def test_no_page_mixes_markets(member: Client) -> None:
    old = records.issued(records.market(Venue.Kind.SIMULATED, 1).instruments[0], records.market(count=1).now - MINUTE)
    records.market(count=1)
    for page in ("/", "/history", f"/signals/{old.public_id}/"):
        assert str(old.public_id) not in member.get(page).content.decode().replace(page, ""), page


def test_an_expired_signal_shows_its_outcome_on_its_own_page(member: Client) -> None:
    market = records.market(count=1)
    signal = records.issued(market.instruments[0], market.now - MINUTE * 2)
    records.judged(signal, "won")
    text = member.get(f"/signals/{signal.public_id}/").content.decode()
    assert "Won" in text
    assert "the next candle opened at" in text


def test_the_chart_holds_candles_lines_signals_and_gaps(member: Client) -> None:
    market = records.market(count=1)
    instrument = market.instruments[0]
    records.candles(instrument, market.now, 300, skip=frozenset({10, 11}))
    records.judged(records.issued(instrument, market.now - MINUTE * 5), "lost")
    data = json.loads(member.get(f"/chart/{instrument.pk}/").content)
    assert len(data["candles"]) == 240
    assert len(data["gaps"]) == 2
    assert [marker["mark"] for marker in data["markers"]] == ["✕"]
    assert data["markers"][0]["judged"] - data["markers"][0]["time"] == 60
    assert all(len(values) == 240 for group in data["indicators"] for values in group["lines"].values())
    assert "238 candles of 1m" in data["summary"]
    assert len(data["rows"]) == 20


def test_the_chart_of_a_signal_ends_half_an_hour_after_it(member: Client) -> None:
    market = records.market(count=1)
    instrument = market.instruments[0]
    records.candles(instrument, market.now, 300)
    signal = records.issued(instrument, market.now - MINUTE * 100)
    text = member.get(f"/signals/{signal.public_id}/").content.decode()
    until = int(signal.expires_at.timestamp()) + 1800
    assert f"&amp;until={until}" in text
    data = member.get(f"/chart/{instrument.pk}/?timeframe=1m&until={until}").json()
    assert data["as_of"] == until
    assert len(data["markers"]) == 1
    assert member.get(f"/chart/{instrument.pk}/?until={2**32}").json()["as_of"] == int(market.now.timestamp())
    for wrong in ("yesterday", "-1", "0", str(2**33)):
        assert member.get(f"/chart/{instrument.pk}/?until={wrong}").status_code == 400, wrong


@pytest.mark.parametrize(("timeframe", "step"), [("5m", 300), ("15m", 900), ("1h", 3600), ("4h", 14_400)])
def test_higher_timeframes_are_aggregated(member: Client, timeframe: str, step: int) -> None:
    market = records.market(count=1)
    records.candles(market.instruments[0], market.now, 600)
    data = json.loads(member.get(f"/chart/{market.instruments[0].pk}/?timeframe={timeframe}").content)
    times = [candle[0] for candle in data["candles"]]
    assert all(at % step == 0 for at in times)
    assert all(later - before == step for before, later in itertools.pairwise(times))


def test_a_wrong_timeframe_is_named_with_the_choices(member: Client) -> None:
    market = records.market(count=1)
    answer = member.get(f"/chart/{market.instruments[0].pk}/?timeframe=2m")
    assert answer.status_code == 400
    assert "use one of 1m, 5m, 15m, 1h, 4h" in answer.content.decode()


def test_a_missing_page_says_what_to_do_and_an_id(client: Client) -> None:
    answer = client.get("/nowhere/", headers={"X-Request-ID": "abcdef12345678"})
    text = answer.content.decode()
    assert answer.status_code == 404
    assert "abcdef12345678" in text
    assert "Back to the board" in text


def test_preferences_are_kept_and_on_the_first_byte(client: Client) -> None:
    form = {"theme": "dark", "colours": "safe", "motion": "reduce", "keys": "off", "time_zone": "Europe/Vienna"}
    assert client.post("/settings", form).status_code == 302
    text = client.get("/").content.decode()
    for attribute in ('data-theme="dark"', 'data-colours="safe"', 'data-motion="reduce"', 'data-keys="off"'):
        assert attribute in text
    assert 'data-tz="Europe/Vienna"' in text


@pytest.mark.parametrize(
    "cookie", ["theme=<script>", "time_zone=../../etc/passwd", "nonsense", "theme=dark" * 200, "x=1&theme="]
)
def test_a_tampered_cookie_falls_back(client: Client, cookie: str) -> None:
    client.cookies["candor_view"] = cookie
    assert client.get("/settings").status_code == 200
    assert parse(cookie) == Preferences()


def test_a_closed_market_says_until_when(member: Client) -> None:
    saturday = datetime(2026, 3, 7, 12, tzinfo=UTC)  # New York goes to summer time that night
    market = records.market(Venue.Kind.REPLAY, 1, now=saturday, market_at=saturday, state="ended")
    instrument = market.instruments[0]
    instrument.calendar = "fx"
    instrument.save()
    records.decided(instrument, saturday - timedelta(hours=2), "silent")
    text = member.get("/").content.decode()
    assert "Market closed until Sunday 21:00 UTC." in text
    assert 'data-widget-state="closed"' in text


def test_what_the_plan_leaves_out_is_shown_as_locked(client: Client) -> None:
    records.market(count=5)
    user = make_user("free@desk.example")
    make_organization(user, "Small", FREE)
    text = person(user).client.get("/").content.decode()
    assert text.count("locked: not in your plan") == 2


def test_a_correction_adds_a_line_to_the_record(member: Client) -> None:
    market = records.market(count=1)
    signal = records.issued(market.instruments[0], market.now - MINUTE * 5)
    records.judged(signal, "won")
    records.judged(signal, "lost", revision=2)
    text = member.get(f"/signals/{signal.public_id}/").content.decode()
    assert "A corrected candle changed the evidence: Lost" in text
    assert "corrected by a later candle" in text


def test_an_expired_form_says_what_to_do() -> None:
    answer = Client(enforce_csrf_checks=True).post("/settings", {"theme": "dark"})
    assert answer.status_code == 403
    assert "This form has expired" in answer.content.decode()


def test_an_error_page_needs_no_database() -> None:
    request = RequestFactory().get("/")
    with CaptureQueriesContext(connection) as queries:
        assert server_error(request).status_code == 500
        assert bad_request(request, ValueError()).status_code == 400
        assert forbidden(request, PermissionDenied()).status_code == 403
        assert too_many(request).status_code == 429
    assert len(queries) == 0


def test_the_number_of_queries_does_not_grow_with_the_market(member: Client) -> None:
    counts = []
    for count in (2, 8):
        records.busy(count, rounds=3, bars=5)
        with CaptureQueriesContext(connection) as queries:
            member.get("/")
        counts.append(len(queries))
    assert counts[0] == counts[1]
