"""`/patterns` and its REST answer: the proof of each pattern, the graveyard, and what an empty page says."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client

from lib.clock import wall_now
from markets.models import Run
from models_ml.models import MiningRun, Pattern
from models_ml.patterns.registry import PATTERNS
from models_ml.patterns.sketches import HEIGHT, TURNS, TWINS, WIDTH, sketch
from models_ml.patterns.windows import described
from signals import shapes
from signals.chart_patterns import NEWEST
from tests.signals import records

pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def run() -> Run:
    return records.market(count=1).run


def searched(run: Run, market_class: str = "crypto", **facts: object) -> MiningRun:
    told: dict[str, Any] = {
        "state": "done", "instruments": 8, "windows": 1_889_210, "tried": 44_087, "candidates": 660, "promoted": 1,
        "fdr": 0.05, "mined_until": AT, "split_at": AT,
    }  # fmt: skip
    return MiningRun.objects.create(venue=run.venue, market_class=market_class, started_at=wall_now(), **told | facts)


def pattern(mining: MiningRun, number: int = 0, **facts: object) -> Pattern:
    window = described(10, number)
    told: dict[str, Any] = {
        "kind": "mined", "key": window.key, "descriptor": window.as_json(), "direction": 1, "state": "promoted",
        "early_n": 20, "early_hits": 16, "later_n": 124, "later_hits": 81,
        "later_ties": 7, "base_rate": 0.487, "p_value": 1.2e-5,
        "q_value": 0.021, "result_bps": 2.34, "risk_reward": 1.1, "last_seen": AT, "live_n": 12, "live_hits": 7,
    }  # fmt: skip
    return Pattern.objects.create(
        venue_id=mining.venue_id, market_class=mining.market_class, run=mining, **told | facts
    )


class Rows(HTMLParser):
    """Keys of the patterns of each section, and the notes of empty ones."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.section = ""
        self.found: dict[str, list[str]] = {}
        self.empty: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        if tag == "section":
            self.section = facts.get("aria-labelledby") or ""
        if key := facts.get("data-pattern"):
            self.found.setdefault(self.section, []).append(key)
        if "data-empty" in facts:
            self.empty.append(self.section)


def test_before_the_first_search_the_page_says_what_will_appear(client: Client, run: Run) -> None:
    text = client.get("/patterns").content.decode()
    assert Rows(text).empty == ["searched", "promoted", "graveyard"]
    assert "at least three days of candles" in text


def test_without_a_market_the_page_stands(client: Client) -> None:
    assert client.get("/patterns").status_code == 200
    assert client.get("/api/v1/patterns/").json()["patterns"] == []


def test_a_search_without_a_discovery_says_so_and_counts_its_graveyard(client: Client, run: Run) -> None:
    mining = searched(run, promoted=0)
    pattern(mining, state="candidate", q_value=1.0)
    text = client.get("/patterns").content.decode()
    assert Rows(text).empty == ["promoted"]
    assert "44,087 hypotheses tried, 660 tested on later data, 0 came through" in text
    assert "data-graveyard>1<" in text


def test_a_promoted_pattern_stands_with_its_whole_proof(client: Client, run: Run) -> None:
    row = pattern(searched(run), 100)
    text = client.get("/patterns").content.decode()
    assert Rows(text).found == {"promoted": [row.key]}
    for words in (
        "65 % of 124",
        "(57–73)",
        "48.7 %",
        "+2.3 bp",
        "1.10",
        "1.2e-05",
        "0.021",
        "7 ties",
        "58 % of 12",
        "2026-03-02",
    ):
        assert words in text, words
    assert "<polyline points=" in text
    assert "10 candles:" in text


def test_each_state_has_its_own_section(client: Client, run: Run) -> None:
    mining = searched(run)
    kept, gone, never = (
        pattern(mining, 1), pattern(mining, 2, state="retired", retired_at=AT, reason="under the base rate"),
        pattern(mining, 3, state="candidate"),
    )  # fmt: skip
    text = client.get("/patterns").content.decode()
    assert Rows(text).found == {"promoted": [kept.key], "retired": [gone.key], "graveyard": [never.key]}
    assert "under the base rate" in text


def test_filters_narrow_and_a_wrong_one_is_named(client: Client, run: Run) -> None:
    crypto, forex = searched(run), searched(run, "forex")
    mined, named = pattern(crypto, 1), pattern(forex, 0, kind="named", key="double_top", descriptor={}, direction=-1)
    assert Rows(client.get("/patterns?market_class=forex").content.decode()).found == {"promoted": [named.key]}
    assert Rows(client.get("/patterns?kind=mined").content.decode()).found == {"promoted": [mined.key]}
    text = client.get("/patterns?kind=magic&market_class=moon").content.decode()
    assert "&#x27;magic&#x27; is unknown" in text
    assert "&#x27;moon&#x27; is unknown" in text
    assert len(Rows(text).found["promoted"]) == 2


def test_the_graveyard_is_paged_best_proof_first(client: Client, run: Run) -> None:
    mining = searched(run)
    for number in range(60):
        pattern(mining, number, state="candidate", p_value=1 - number / 100)
    first = Rows(client.get("/patterns").content.decode()).found["graveyard"]
    second = Rows(client.get("/patterns?page=2").content.decode()).found["graveyard"]
    assert (len(first), len(second)) == (50, 10)
    assert first[0] == described(10, 59).key
    assert not set(first) & set(second)


def test_another_markets_patterns_are_not_shown(client: Client, run: Run) -> None:
    pattern(searched(run))
    records.market(count=1)
    assert Rows(client.get("/patterns").content.decode()).found == {}
    assert client.get("/api/v1/patterns/").json()["counts"] == {"candidate": 0, "promoted": 0, "retired": 0}


def test_the_answer_keeps_its_shape_and_pages(client: Client, run: Run) -> None:
    mining = searched(run)
    made = [pattern(mining, number, state="candidate") for number in range(3)]
    first = client.get("/api/v1/patterns/?state=candidate&limit=2").json()
    shape = shapes.PatternPage(data=first)
    assert shape.is_valid(), shape.errors
    assert (first["graveyard"], first["next"]) == (3, made[1].pk)
    rest = client.get(f"/api/v1/patterns/?state=candidate&after={first['next']}").json()
    assert [row["id"] for row in first["patterns"] + rest["patterns"]] == [row.pk for row in made]
    assert rest["next"] is None
    told = first["patterns"][0]["out_of_sample"]
    assert (told["n"], round(told["rate"], 3)) == (124, 0.653)
    assert client.get("/api/v1/patterns/").json()["patterns"] == [], "promoted ones by default"
    assert first["runs"][0]["tried"] == 44_087


def test_without_a_case_there_is_no_rate(client: Client, run: Run) -> None:
    pattern(searched(run), later_n=0, later_hits=0, live_n=0, live_hits=0, result_bps=None, risk_reward=None)
    (row,) = client.get("/api/v1/patterns/").json()["patterns"]
    assert row["out_of_sample"] == {"n": 0, "rate": None, "low": None, "high": None}
    assert "n = 0" in client.get("/patterns").content.decode()


@pytest.mark.parametrize("query", ["state=asleep", "kind=magic", "limit=0", "after=-1", "limit=x"])
def test_a_wrong_query_is_refused_by_name(client: Client, query: str) -> None:
    answer = client.get(f"/api/v1/patterns/?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["detail"]


def test_sketches_fit_their_box_and_twins_are_turned() -> None:
    drawn = 0
    for key in PATTERNS:
        points = sketch(key, 1, {})
        drawn += bool(points)
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points), key
        assert key.startswith(("cdl_", "candle_")) == (not points), key
    assert drawn == len(TURNS) + len(TWINS)
    up, down = sketch("double_bottom", 1, {}), sketch("double_top", -1, {})
    assert [round(HEIGHT - y, 1) for _, y in up] == [y for _, y in down]
    assert sketch("break_of_structure", 1, {}) != sketch("break_of_structure", -1, {})
    rising = sketch("w5:+++++", 1, {"moves": ["rose"] * 5})
    assert len(rising) == 6
    assert all(a[1] > b[1] for a, b in pairwise(rising)), "upwards is a smaller y"
    assert sketch("x", 1, {"moves": ["stayed"] * 5})[0][1] == HEIGHT / 2


def test_the_chart_draws_the_newest_patterns_on_its_own_candles(client: Client) -> None:
    market = records.market(count=1)
    instrument = market.instruments[0]
    records.candles(instrument, market.now - records.MINUTE * 20, 330)
    data = client.get(f"/chart/{instrument.pk}/").json()
    times = {candle[0] for candle in data["candles"]}
    assert data["patterns"]
    assert {one["family"] for one in data["patterns"]} <= {"shape", "structure", "candle"}, "no TA-Lib in a web process"
    for one in data["patterns"]:
        assert {at for at, _ in one["points"]} <= times, one
        assert one["says"] in {"▲\u00a0up", "▼\u00a0down"}
        assert one["known"] - 60 in times
        assert one["began"] == one["points"][0][0]
    newest = [one["known"] for one in data["patterns"]]
    assert newest == sorted(newest, reverse=True)
    families = [one["family"] for one in data["patterns"]]
    assert max(families.count(family) for family in families) <= NEWEST


def test_an_empty_chart_has_no_patterns(client: Client) -> None:
    market = records.market(count=1)
    assert client.get(f"/chart/{market.instruments[0].pk}/").json()["patterns"] == []
