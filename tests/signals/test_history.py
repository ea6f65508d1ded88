"""The record: filters, pages, the file."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.http.response import HttpResponseBase
from django.test import AsyncClient, Client

from signals.history import PAGE, _safe
from tests.signals import records
from tests.signals.records import MINUTE

pytestmark = pytest.mark.django_db(transaction=True)


def rows_of(answer: HttpResponseBase) -> list[dict[str, str]]:
    text = answer.getvalue().decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_page_and_file_show_the_same_rounds(member: Client) -> None:
    records.busy(2, rounds=20, bars=1)
    page = member.get("/history?state=")
    rows = rows_of(member.get("/history.csv?state="))
    assert page.context["page"].paginator.count == len(rows) == 42
    assert [card["id"] for card in page.context["cards"]] == [row["id"] for row in rows][:PAGE]


def test_the_file_tells_what_to_risk(member: Client) -> None:
    records.busy(2, rounds=20, bars=1)
    rows = rows_of(member.get("/history.csv?state=issued"))
    assert {row["suggested_size"] for row in rows} == {"0.07 % of capital at risk"}
    assert all(row["risk_note"].startswith("Risk at most") and row["actionable"] for row in rows)


async def test_an_asynchronous_server_streams_the_same_file(recwarn: pytest.WarningsRecorder) -> None:
    await sync_to_async(records.busy)(2, rounds=20, bars=1)
    answer: Any = await AsyncClient().get("/history.csv?state=")  # the test client's own class
    assert answer.is_async
    text = b"".join([part async for part in answer]).decode()
    assert text == await sync_to_async(lambda: Client().get("/history.csv?state=").getvalue().decode())()
    assert text.count("\n") > 1
    assert not [one for one in recwarn if "StreamingHttpResponse" in str(one.message)]


@pytest.mark.parametrize(
    ("result", "count"), [("won", 1), ("lost", 1), ("tie", 0), ("void", 0), ("pending", 1), ("", 3)]
)
def test_rounds_are_filtered_by_outcome(member: Client, result: str, count: int) -> None:
    market = records.market(count=1)
    signals = [records.issued(market.instruments[0], market.now - MINUTE * back) for back in (9, 8, 7)]
    records.judged(signals[0], "won")
    records.judged(signals[1], "won")
    records.judged(signals[1], "lost", revision=2)
    assert len(rows_of(member.get(f"/history.csv?outcome={result}"))) == count


def test_rounds_are_filtered_by_instrument_state_and_day(member: Client) -> None:
    market = records.market(count=2)
    first, second = market.instruments
    records.issued(first, market.now)
    records.decided(second, market.now, "silent")
    records.issued(second, market.now - timedelta(days=2))
    assert len(rows_of(member.get(f"/history.csv?instrument={second.pk}"))) == 1
    assert len(rows_of(member.get("/history.csv?state=silent"))) == 1
    day = (market.now - timedelta(days=2)).date().isoformat()
    assert [row["instrument"] for row in rows_of(member.get(f"/history.csv?since={day}&until={day}"))] == [
        second.symbol
    ]


@pytest.mark.parametrize(
    "query",
    [
        "instrument=abc",
        "instrument=9" * 30,
        "state=nope",
        "outcome=%00",
        "since=yesterday",
        "until=2025-13-01",
        "page=x",
        "page=-1",
    ],
)
def test_a_bad_filter_is_named_and_left_out(member: Client, query: str) -> None:
    records.market(count=1)
    answer = member.get(f"/history?{query}")
    assert answer.status_code == 200
    assert bool(answer.context["filters"].errors) == (not query.startswith("page"))
    assert member.get(f"/history.csv?{query}").status_code == 200


def test_pages_follow_each_other(member: Client) -> None:
    market = records.market(count=1)
    for back in range(PAGE + 3):
        records.decided(market.instruments[0], market.now - MINUTE * back, "silent")
    first, second = (member.get(f"/history?state=silent&page={number}").context["cards"] for number in (1, 2))
    assert (len(first), len(second)) == (PAGE, 3)
    assert not {card["id"] for card in first} & {card["id"] for card in second}


def test_a_visitor_gets_no_row_that_is_younger_than_the_delay(client: Client) -> None:
    market = records.market(count=1)
    records.issued(market.instruments[0], market.now)
    assert rows_of(client.get("/history.csv")) == []


@pytest.mark.parametrize("cell", ["=1+1", "+1.4 bp", "-5", "@cmd", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert _safe(cell) == f"'{cell}"
    assert _safe("BTC/USDT") == "BTC/USDT"
