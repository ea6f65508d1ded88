"""Files of headlines, events and index values through their commands; recorded data where it is at hand."""

import io
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from lib import clock
from markets.intelligence import reading
from markets.models import CalendarEvent, Headline, SentimentIndex
from tests.markets.intelligence import documents

pytestmark = pytest.mark.django_db


def run(command: str, *paths: Path, **options: object) -> dict[str, Any]:
    """The command's report."""
    out = io.StringIO()
    call_command(command, *map(str, paths), json=True, stdout=out, **options)
    return dict(json.loads(out.getvalue()))


def put(folder: Path, name: str, body: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return path


LINES = (
    '{"title": "Bitcoin falls", "url": "https://n.example/1", "published": "2024-02-02T10:00:00Z", "source": "a"}\n'
    '{"title": "Ether rises", "link": "https://n.example/2", "published": "Fri, 02 Feb 2024 11:00:00 GMT"}\n'
    '{"title": "Seen late", "published": "2024-02-02T12:00:00Z", "observed_at": "2024-02-02T12:30:00Z"}\n'
)


def test_headlines_come_in_every_shape_and_once(tmp_path: Path) -> None:
    files = [
        put(tmp_path, "a.xml", documents.RSS),
        put(tmp_path, "b.atom", documents.ATOM),
        put(tmp_path, "c.json", documents.JSON_FEED),
        put(tmp_path, "d.jsonl", LINES),
        put(tmp_path, "e.csv", "title,published,source\nGold steady,2024-02-02T10:00:00Z,desk\n"),
    ]
    report = run("import_headlines", *files)
    assert [(one["read"], one["new"]) for one in report["files"]] == [(3, 3), (2, 2), (1, 1), (3, 3), (1, 1)]
    assert report["files"][0]["skipped"] == {"no title": 1}
    again = run("import_headlines", *files)
    assert [one["new"] for one in again["files"]] == [0] * 5
    assert Headline.objects.get(title="Gold steady").source == "desk"
    assert Headline.objects.get(title="Ether rises").source == "d"


def test_an_imported_headline_counts_from_now_unless_its_lag_is_told(tmp_path: Path) -> None:
    before = clock.wall_now()
    run("import_headlines", put(tmp_path, "a.jsonl", LINES))
    assert Headline.objects.get(title="Bitcoin falls").observed_at >= before
    assert Headline.objects.get(title="Seen late").observed_at == datetime(2024, 2, 2, 12, 30, tzinfo=UTC)
    Headline.objects.all().delete()
    run("import_headlines", put(tmp_path, "a.jsonl", LINES), lag=90.0)
    told = Headline.objects.get(title="Bitcoin falls")
    assert told.observed_at - told.published_at == timedelta(seconds=90)
    assert Headline.objects.get(title="Seen late").observed_at == datetime(2024, 2, 2, 12, 30, tzinfo=UTC)


def test_nothing_is_published_or_observed_in_the_future(tmp_path: Path) -> None:
    line = '{"title": "Tomorrow", "published": "2999-01-01T00:00:00Z", "observed_at": "2999-01-01T00:00:00Z"}'
    run("import_headlines", put(tmp_path, "a.jsonl", line))
    told = Headline.objects.get()
    assert told.published_at <= told.observed_at <= clock.wall_now()


def test_events_are_known_from_now_unless_told_otherwise(tmp_path: Path) -> None:
    files = [put(tmp_path, "a.csv", documents.CALENDAR), put(tmp_path, "b.ics", documents.ICS)]
    report = run("import_calendar", *files, ahead=7.0)
    assert [(one["read"], one["new"]) for one in report["files"]] == [(3, 3), (2, 2)]
    payrolls = CalendarEvent.objects.get(source="a", key="a1")
    assert payrolls.time - payrolls.observed_at == timedelta(days=7)
    assert (payrolls.currency, payrolls.get_impact_display()) == ("USD", "High")


def test_a_moved_event_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", documents.CALENDAR)
    run("import_calendar", path)
    known = CalendarEvent.objects.get(key="a1").observed_at
    path.write_bytes(documents.CALENDAR.replace(b"13:30:00Z,USD,High", b"14:30:00Z,USD,Medium"))
    assert run("import_calendar", path)["files"][0]["new"] == 0
    moved = CalendarEvent.objects.get(key="a1")
    assert (moved.time.hour, moved.impact, moved.observed_at) == (14, 2, known)
    assert CalendarEvent.objects.count() == 3


def test_a_calendar_without_ids_is_still_stored_once(tmp_path: Path) -> None:
    path = put(tmp_path, "a.json", '[{"time": "2024-02-02T10:00:00Z", "currency": "USD", "title": "CPI"}]')
    assert run("import_calendar", path, impact="high")["files"][0]["new"] == 1
    assert run("import_calendar", path, impact="high")["files"][0]["new"] == 0


def test_index_values_and_when_they_were_known(tmp_path: Path) -> None:
    path = put(tmp_path, "vix.csv", "date,open,close\n2024-02-01,13.9,13.88\n2024-02-02,x,13.85\nnever,1,2\n")
    assert run("import_index", path, column="close", after_days=1)["files"][0] == {
        "file": str(path), "read": 2, "new": 2, "skipped": {"no value with a day": 1},
    }  # fmt: skip
    row = SentimentIndex.objects.get(day=date(2024, 2, 1))
    assert (row.key, row.value, row.known_at) == ("vix", 13.88, datetime(2024, 2, 2, tzinfo=UTC))
    path = put(tmp_path, "fng.json", documents.FEAR_GREED)
    assert run("import_index", path, key="mood")["files"][0]["new"] == 2
    assert run("import_index", path, key="mood")["files"][0]["new"] == 0


def test_the_first_value_of_a_day_stays(tmp_path: Path) -> None:
    run("import_index", put(tmp_path, "m.csv", "date,value\n2024-02-01,40\n"))
    run("import_index", put(tmp_path, "m.csv", "date,value\n2024-02-01,90\n"))
    assert SentimentIndex.objects.get().value == 40


RIGHT: dict[str, tuple[str, bytes | str]] = {
    "import_headlines": ("right.jsonl", LINES),
    "import_calendar": ("right.csv", documents.CALENDAR),
    "import_index": ("right.csv", "date,value\n2024-02-01,40\n"),
}


@pytest.mark.parametrize(
    ("command", "name", "body", "said"),
    [
        ("import_headlines", "a.pdf", b"", "a.pdf: use one of .jsonl"),
        ("import_headlines", "a.jsonl", b"{not json}\n", "a.jsonl: not JSON lines"),
        ("import_headlines", "a.jsonl", b"", "nothing to store (it is empty)"),
        ("import_headlines", "a.jsonl", b'{"text": "x"}', "nothing to store (1 no title)"),
        ("import_headlines", "a.csv", b"headline\nx\n", "no column 'title'"),
        ("import_headlines", "a.csv", b"\xff\xfe", "not a readable CSV"),
        ("import_headlines", "a.xml", b"<rss", "not a readable XML"),
        ("import_calendar", "a.txt", b"", "a.txt: use one of .csv"),
        ("import_calendar", "a.csv", b"x\n1\n", "no column 'time'"),
        ("import_index", "a.txt", b"", "a.txt: use .csv or .json"),
        ("import_index", "a.csv", b"date,level\n2024-01-01,3\n", "no column 'value'"),
        ("import_index", "a.csv", b"date,value\nx,y\n", "nothing to store (1 no value with a day)"),
    ],
)
def test_a_wrong_file_is_told_and_the_others_are_imported(
    tmp_path: Path, command: str, name: str, body: bytes, said: str
) -> None:
    right = put(tmp_path, *RIGHT[command])
    wrong = put(tmp_path, name, body)
    err = io.StringIO()
    with pytest.raises(CommandError, match="1 of 2 files were not imported") as caught:
        call_command(command, str(wrong), str(right), stdout=io.StringIO(), stderr=err)
    assert caught.value.returncode == 2
    assert said in err.getvalue()
    stored = Headline.objects.count() + CalendarEvent.objects.count() + SentimentIndex.objects.count()
    assert stored == {"import_headlines": 3, "import_calendar": 3, "import_index": 1}[command]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="1 of 1 files"):
        run("import_headlines", tmp_path / "gone.xml")


def test_recorded_headlines_and_indexes(candor_data: Path) -> None:
    folder = candor_data / "sentiment"
    report = run("import_headlines", *sorted(folder.glob("news_headlines_*.jsonl")), lag=60.0)
    assert [one["read"] for one in report["files"]] == [274, 157]
    assert Headline.objects.count() == sum(one["new"] for one in report["files"]) > 400
    assert Headline.objects.filter(subjects__contains=["BTC"]).count() > 50
    macro = candor_data / "macro"
    report = run("import_index", macro / "crypto_fear_greed.csv", macro / "stock_fear_greed.csv")
    assert [one["new"] for one in report["files"]] == [2667, 3620]
    at = datetime(2024, 2, 2, 0, 0, tzinfo=UTC)
    values = reading.index_values(["crypto_fear_greed"], at, timedelta(days=3))["crypto_fear_greed"]
    assert [known.day for known, _ in values] == [31, 1, 2], "that of the day itself is known at its start"
