"""What words and calendars say of instruments at a moment, from rows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pytest_django import DjangoAssertNumQueries

from lib import clock
from markets.models import Instrument
from models_ml.features.words import WORD_COLUMNS
from models_ml.news import News, news_of
from tests.factories_market import instruments_of, make_run
from tests.models_ml.newsroom import event, headline, mood

pytestmark = pytest.mark.django_db
CLOSE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def pair() -> list[Instrument]:
    return instruments_of(make_run(due_from=CLOSE))


def news(instruments: list[Instrument]) -> News:
    return news_of(instruments, clock.epoch(CLOSE))


def said(found: News, name: str) -> list[float]:
    values: list[float] = found.columns()[:, WORD_COLUMNS.index(name)].tolist()
    return values


def test_without_rows_everything_is_unknown(pair: list[Instrument]) -> None:
    found = news(pair)
    assert found.titles == ((), ())
    assert np.isnan(found.columns()).all()
    assert found.tone.count.tolist() == [0, 0]
    assert np.isnan([*found.to_event, *found.since_event, *found.tone.mean]).all()
    assert found.figures(0) == {"headlines": 0.0}


def test_headlines_reach_the_instruments_they_concern_the_newest_first(pair: list[Instrument]) -> None:
    headline("Bitcoin surges to a record high", CLOSE - HOUR)
    headline("Ether falls on weak demand", CLOSE - 2 * HOUR)
    headline("Crypto regulation: a hearing is in May", CLOSE - 3 * HOUR)
    headline("Gold is steady", CLOSE - HOUR)
    headline("Bitcoin of the day before", CLOSE - DAY - MINUTE)
    found = news(pair)
    assert found.titles[0] == ("Bitcoin surges to a record high", "Crypto regulation: a hearing is in May")
    assert found.titles[1] == ("Ether falls on weak demand", "Crypto regulation: a hearing is in May")
    assert found.tone.count.tolist() == [2, 2]
    assert found.tone.mean[0] > 0 > found.tone.mean[1]
    assert found.figures(0)["headline_tone"] == found.tone.mean[0]
    assert said(found, "headline_tone_6h") == pytest.approx(found.tone.mean.tolist())


def test_the_same_line_of_two_sources_is_told_once(pair: list[Instrument]) -> None:
    headline("Bitcoin slips", CLOSE - HOUR, source="one")
    headline("Bitcoin slips", CLOSE - 2 * HOUR, source="two")
    found = news(pair)
    assert found.titles[0] == ("Bitcoin slips",)
    assert found.tone.count.tolist() == [2, 0]


def test_what_becomes_known_after_the_decision_changes_nothing(pair: list[Instrument]) -> None:
    headline("Bitcoin rises", CLOSE - HOUR)
    headline("Bitcoin was there all day", CLOSE - DAY - HOUR)
    event("Rates", CLOSE + HOUR, CLOSE - DAY)
    event("Far", CLOSE + 3 * DAY, CLOSE - DAY)
    mood(30, CLOSE.replace(hour=0, minute=0))
    before = news(pair)
    headline("Bitcoin crashes", CLOSE + timedelta(seconds=1))
    event("Surprise", CLOSE + MINUTE, CLOSE + timedelta(seconds=1))
    mood(90, CLOSE.replace(hour=0, minute=0) + DAY)
    after = news(pair)
    assert after.titles == before.titles
    np.testing.assert_array_equal(after.columns(), before.columns())
    np.testing.assert_array_equal([after.to_event, after.since_event], [before.to_event, before.since_event])
    assert after.figures(0) == before.figures(0)
    assert np.isfinite(before.columns()[0]).sum() >= 7, "there was something to change"


def test_events_of_the_instruments_currencies(pair: list[Instrument]) -> None:
    event("Payrolls", CLOSE + 20 * MINUTE, CLOSE - DAY)
    event("European rates", CLOSE + MINUTE, CLOSE - DAY, currency="EUR")
    event("Small thing", CLOSE + MINUTE, CLOSE - DAY, impact=2)
    event("Everybody's", CLOSE - 45 * MINUTE, CLOSE - DAY, currency="ALL")
    event("Bitcoin's own", CLOSE + 5 * MINUTE, CLOSE - DAY, currency="BTC")
    found = news(pair)
    assert found.to_event.tolist() == [5.0, 20.0]
    assert found.since_event.tolist() == [45.0, 45.0]
    assert said(found, "event_next") == [5.0, 20.0]


def test_the_index_that_fits_the_market(pair: list[Instrument]) -> None:
    mood(20, CLOSE.replace(hour=0, minute=0))
    mood(70, CLOSE.replace(hour=0, minute=0) - DAY)
    mood(90, CLOSE.replace(hour=0, minute=0), key="stock_fear_greed")
    Instrument.objects.filter(pk=pair[1].pk).update(market_class="forex")
    found = news(list(Instrument.objects.filter(pk__in=[one.pk for one in pair]).order_by("pk")))
    assert found.figures(0) == {"headlines": 0.0, "fear_greed": pytest.approx(20)}
    assert "fear_greed" not in found.figures(1)
    assert said(found, "fear_greed_change_1d") == pytest.approx([-1.0, np.nan], nan_ok=True)


def test_many_instruments_cost_no_more_queries(
    pair: list[Instrument], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    headline("Crypto rises", CLOSE - HOUR)
    event("Rates", CLOSE + HOUR, CLOSE - DAY)
    mood(30, CLOSE.replace(hour=0, minute=0))
    for instruments in (pair[:1], pair * 25):
        with django_assert_num_queries(6):
            news(instruments)
