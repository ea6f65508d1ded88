"""The console of words: operators set feeds up and see what they brought; nobody else gets there."""

from datetime import timedelta

import pytest
from django.urls import reverse

from lib.clock import wall_now
from markets.models import CalendarEvent, Headline, SentimentIndex, WordFeed
from tests.people import Person

pytestmark = pytest.mark.django_db
MODELS = (WordFeed, Headline, CalendarEvent, SentimentIndex)


@pytest.fixture
def rows() -> None:
    now = wall_now()
    WordFeed.objects.create(name="wire", adapter="rss", url="https://news.example/rss", failures=2, detail="status 500")
    Headline.objects.create(
        key="k", source="wire", title="<script>alert(1)</script>", subjects=["BTC"], published_at=now, observed_at=now
    )
    CalendarEvent.objects.create(source="c", key="k", time=now, currency="USD", impact=3, title="CPI", observed_at=now)
    SentimentIndex.objects.create(key="mood", day=now.date(), value=40, known_at=now, observed_at=now)


def address(model: type, page: str, *args: object) -> str:
    return reverse(f"admin:markets_{model._meta.model_name}_{page}", args=args)  # type: ignore[attr-defined]  # models all


@pytest.mark.parametrize("model", MODELS)
def test_operators_read_and_members_do_not_get_there(
    rows: None, operator: Person, owner: Person, stranger: Person, model: type
) -> None:
    row = model._default_manager.get()  # type: ignore[attr-defined]  # models all
    page = operator.client.get(address(model, "changelist"))
    assert page.status_code == 200
    assert b"<script>alert(1)" not in page.content
    assert operator.client.get(address(model, "change", row.pk)).status_code == 200
    for person in (owner, stranger):
        assert person.client.get(address(model, "changelist")).status_code in {302, 403, 404}


@pytest.mark.parametrize("model", MODELS[1:])
def test_what_feeds_brought_is_not_written_by_hand(rows: None, operator: Person, model: type) -> None:
    row = model._default_manager.get()  # type: ignore[attr-defined]  # models all
    assert operator.client.get(address(model, "add")).status_code == 403
    assert operator.client.post(address(model, "change", row.pk), {}).status_code == 403


def test_a_headline_that_must_not_stay_can_be_deleted(rows: None, operator: Person) -> None:
    operator.client.post(address(Headline, "delete", Headline.objects.get().pk), {"post": "yes"})
    assert not Headline.objects.exists()


FORM = {"name": "mine", "adapter": "json_feed", "url": "https://news.example/feed", "every_s": "300", "enabled": "on"}


def test_a_feed_is_set_up(operator: Person) -> None:
    operator.client.post(address(WordFeed, "add"), FORM | {"options": '{"items": "articles"}'})
    feed = WordFeed.objects.get()
    assert (feed.name, feed.adapter, feed.options, feed.polled_at) == ("mine", "json_feed", {"items": "articles"}, None)
    operator.client.post(address(WordFeed, "add"), FORM | {"name": "plain", "options": ""})
    assert WordFeed.objects.get(name="plain").options == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"adapter": "telepathy"},
        {"every_s": "5"},
        {"url": "ftp://news.example/feed"},
        {"url": "x"},
        {"options": "[1]"},
        {"options": "{"},
    ],
)
def test_a_feed_that_cannot_be_polled_is_refused(operator: Person, changes: dict[str, str]) -> None:
    answer = operator.client.post(address(WordFeed, "add"), FORM | {"options": "{}"} | changes)
    assert answer.status_code == 200
    assert not WordFeed.objects.exists()


def test_a_changed_feed_is_polled_anew_and_a_looked_at_one_is_not(operator: Person) -> None:
    polled = wall_now() - timedelta(seconds=5)
    feed = WordFeed.objects.create(
        name="mine", adapter="json_feed", url=FORM["url"], etag="x", polled_at=polled, failures=3, detail="status 500"
    )
    operator.client.post(address(WordFeed, "change", feed.pk), FORM | {"options": "{}"})
    feed.refresh_from_db()
    assert (feed.etag, feed.polled_at, feed.failures) == ("x", polled, 3)
    operator.client.post(
        address(WordFeed, "change", feed.pk), FORM | {"options": "{}", "url": "https://b.example/feed"}
    )
    feed.refresh_from_db()
    assert (feed.etag, feed.polled_at, feed.failures, feed.detail) == ("", None, 0, "")
