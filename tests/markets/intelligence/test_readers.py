"""Readers of documents: their documented shapes, and what strangers may send instead."""

from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets.intelligence import FEEDS, FeedError, reader_of
from markets.intelligence.items import LONGEST, MOST, TITLE, Items, address, instant, plain
from tests.markets.intelligence import documents


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]  # year, month, day, hour, minute, second


def read(adapter: str, body: bytes, **options: object) -> Items:
    return reader_of(adapter)(body, options)


def test_rss() -> None:
    found = read("rss", documents.RSS)
    first, second, third = found.headlines
    assert (first.title, first.url, first.language) == (
        "Bitcoin & ether rise sharply", "https://news.example/1", "en-us",
    )  # fmt: skip
    assert first.published == at(2024, 2, 2, 15, 38, 14)
    assert second.published == at(2024, 2, 2, 10)
    assert (third.published, third.url) == (None, "https://news.example/4")
    assert found.skipped == {"no title": 1}


def test_atom() -> None:
    first, second = read("rss", documents.ATOM).headlines
    assert (first.title, first.url, first.language) == ("Gold falls", "https://news.example/a", "en")
    assert first.published == at(2024, 2, 2, 11)
    assert (second.url, second.language, second.published) == ("https://news.example/b", "de", at(2024, 2, 1))


def test_json_feed_and_a_mapping() -> None:
    (item,) = read("json_feed", documents.JSON_FEED).headlines
    assert (item.title, item.url, item.published) == ("Solana rallies", "https://news.example/j1", at(2024, 2, 2, 9))
    names = {"items": "articles", "published": "publishedAt", "source": "source.name"}
    (item,) = read("json_feed", documents.ARTICLES, **names).headlines
    assert (item.title, item.source, item.published) == ("XRP drops 9 %", "The Wire", at(2024, 2, 2, 9))


def test_fear_and_greed_is_known_at_the_start_of_its_day() -> None:
    found = read("fear_greed", documents.FEAR_GREED)
    assert [(one.key, one.day, one.value, one.known) for one in found.indexes] == [
        ("crypto_fear_greed", date(2024, 2, 2), 40.0, at(2024, 2, 2)),
        ("crypto_fear_greed", date(2024, 2, 1), 47.0, at(2024, 2, 1)),
    ]
    assert found.skipped == {"no value from 0 to 100 with a time": 1}
    assert read("fear_greed", documents.FEAR_GREED, key="mine").indexes[0].key == "mine"


def test_a_calendar_as_csv() -> None:
    found = read("calendar_csv", documents.CALENDAR)
    assert [(one.time, one.currency, one.impact, one.title, one.key) for one in found.events] == [
        (at(2024, 2, 2, 13, 30), "USD", 3, "Nonfarm payrolls", "a1"),
        (at(2024, 2, 2, 15), "USD", 2, "Consumer sentiment", "a2"),
        (at(2024, 2, 5, 8), "EUR", 1, "Trade balance", "a3"),
    ]
    assert found.skipped == {"no time with a zone": 1, "no impact of low, medium or high": 1}


def test_a_calendar_without_zones_needs_one_named() -> None:
    body = b"date,country,impact,title\n2024-07-05 08:30,USD,high,Payrolls\n"
    names = {"time": "date", "currency": "country"}
    assert read("calendar_csv", body, **names).skipped == {"no time with a zone": 1}
    (event,) = read("calendar_csv", body, **names, timezone="America/New_York").events
    assert event.time == at(2024, 7, 5, 12, 30)


def test_a_calendar_as_json() -> None:
    body = b'[{"title": "CPI m/m", "country": "USD", "date": "2024-02-13T08:30:00-05:00", "impact": "High"}]'
    (event,) = read("calendar_json", body, time="date", currency="country").events
    assert (event.time, event.currency, event.impact) == (at(2024, 2, 13, 13, 30), "USD", 3)
    inside = b'{"week": {"events": ' + body + b"}}"
    assert len(read("calendar_json", inside, time="date", currency="country", items="week.events")) == 1


def test_a_calendar_as_icalendar() -> None:
    found = read("calendar_ics", documents.ICS)
    assert [(one.time, one.currency, one.impact, one.title, one.key) for one in found.events] == [
        (at(2024, 2, 2, 13, 30), "USD", 3, "Nonfarm payrolls", "e1@example"),
        (at(2024, 2, 8, 13, 15), "EUR", 2, "Rate decision", "e2@example"),
    ]
    assert found.skipped == {"a whole day": 1, "repeated": 1, "no currency": 1}


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;">
<!ENTITY lol3 "&lol2;&lol2;&lol2;&lol2;">]>
<rss version="2.0"><channel><item><title>&lol3;</title></item></channel></rss>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<rss version="2.0"><channel><item><title>&x;</title></item></channel></rss>"""
REMOTE_DTD = (
    b"""<?xml version="1.0"?><!DOCTYPE rss SYSTEM "http://127.0.0.1:9/x.dtd"><rss version="2.0"><channel/></rss>"""
)


@pytest.mark.parametrize("body", [LAUGHS, OUTSIDE, REMOTE_DTD], ids=["laughs", "file", "dtd"])
def test_xml_with_a_document_type_is_refused(body: bytes) -> None:
    with pytest.raises(FeedError, match="document type or entities"):
        read("rss", body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not a readable XML"),
        (b"<html><body>maintenance</body></html>", "neither RSS 2.0 nor Atom"),
        (b"<rss><channel>", "not a readable XML"),
        ('<?xml version="1.0" encoding="utf-8"?><rss><channel>é</channel></rss>'.encode("latin-1"), "not a readable"),
        (b'<?xml version="1.0" encoding="klingon"?><rss><channel/></rss>', "not a readable XML"),
        (b"{}", "not a readable XML"),
        (b"<rss>" + b" " * LONGEST + b"</rss>", "at most 5,000,000"),
    ],
)  # fmt: skip
def test_what_is_no_feed_is_one_clear_error(body: bytes, said: str) -> None:
    with pytest.raises(FeedError, match=said):
        read("rss", body)


def test_xml_nested_beyond_reason_is_read_or_refused_and_nothing_else() -> None:
    depth = 200_000
    body = b"<rss><channel><item><title>" + b"<a>" * depth + b"x" + b"</a>" * depth + b"</title></item></channel></rss>"
    try:
        found = read("rss", body)
    except FeedError:
        return
    assert len(found) <= 1


def test_other_encodings_are_read_as_they_are_declared() -> None:
    text = '<?xml version="1.0" encoding="{}"?><rss><channel><item><title>Zürich</title></item></channel></rss>'
    for encoding in ("utf-8", "iso-8859-1", "utf-16"):
        assert read("rss", text.format(encoding).encode(encoding)).headlines[0].title == "Zürich"


def test_a_long_feed_is_read_from_its_head() -> None:
    items = b"".join(b"<item><title>n%d</title></item>" % n for n in range(MOST + 50))
    assert len(read("rss", b"<rss><channel>" + items + b"</channel></rss>")) == MOST


@pytest.mark.parametrize("adapter", ["json_feed", "fear_greed", "calendar_json"])
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b'{"data": 3, "items": 3}', b"null", b"3", b'"x"']
)
def test_json_of_another_shape_is_one_clear_error(adapter: str, body: bytes) -> None:
    with pytest.raises(FeedError):
        read(adapter, body)


def test_an_error_of_the_provider_is_told_and_may_be_tried_again() -> None:
    with pytest.raises(FeedError, match="answered: limit reached") as caught:
        read("fear_greed", b'{"data": [], "metadata": {"error": "limit reached"}}')
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("adapter", "body", "options", "said"),
    [
        ("json_feed", b'{"items": []}', {}, "not a JSON Feed"),
        ("json_feed", b"{}", {"colour": "x"}, "option 'colour'"),
        ("json_feed", b"{}", {"items": 3}, "option 'items'"),
        ("calendar_csv", b"when,what\n", {}, "no column 'time'"),
        ("calendar_csv", b"time,currency,impact\nx,y,z\n", {}, "no column 'title'"),
        ("calendar_csv", b"\xff\xfe\x00", {}, "not a readable CSV"),
        ("calendar_csv", b"time,currency,impact,title\n1,2,3,4\n", {"timezone": "Mars/Olympus"}, "'Mars/Olympus'"),
        ("calendar_json", b"[]", {"colour": "x"}, "option 'colour'"),
        ("calendar_ics", b"hello", {}, "not a readable iCalendar"),
        ("calendar_ics", b"", {"colour": "x"}, "option 'colour'"),
    ],
)
def test_options_and_files_that_do_not_fit_are_told(
    adapter: str, body: bytes, options: dict[str, object], said: str
) -> None:
    with pytest.raises(FeedError, match=said):
        read(adapter, body, **options)


def test_an_unknown_adapter_is_refused_by_name() -> None:
    with pytest.raises(FeedError, match="'telepathy' is not known: use one of rss"):
        reader_of("telepathy")


@pytest.mark.parametrize("adapter", FEEDS)
@given(body=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(adapter: str, body: bytes) -> None:
    with suppress(FeedError):
        assert len(read(adapter, body)) >= 0


def test_titles_are_made_plain() -> None:
    assert plain("a <script>x</script>&amp;\u202e b\u200b\n c") == "a x & b c"
    assert len(plain("x" * 5_000)) == TITLE
    assert plain(None) == plain(3) == ""


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "ftp://x", "https://a b", "/relative", None, "https://" + "x" * 600]
)
def test_addresses_that_cannot_be_opened_are_not_kept(text: object) -> None:
    assert address(text) == ""


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2024-02-02T10:00:00Z", at(2024, 2, 2, 10)),
        ("Fri, 02 Feb 2024 10:00:00 GMT", at(2024, 2, 2, 10)),
        ("1706868000", at(2024, 2, 2, 10)),
        (1706868000.0, at(2024, 2, 2, 10)),
        ("2024-02-02T10:00:00", None),
        ("yesterday", None),
        ("", None),
        (True, None),
        (1e300, None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_times_have_a_zone_or_are_unknown(value: object, found: datetime | None) -> None:
    assert instant(value) == found
