"""What stops a start, what every request carries, what is logged and measured, and what beat starts."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from celery import current_app
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from config import checks, logs
from config.celery import SCHEDULE, app
from config.embedded import keep_secret, secret_key
from config.metrics import metrics
from config.middleware import RequestContextMiddleware
from markets.venues import VENUES

# ---- checks


@pytest.mark.parametrize(("key", "ids"), [("x" * 32, []), ("x" * 31, ["candor.E001"]), ("", ["candor.E001"])])
def test_a_missing_secret_stops_the_start(settings: Settings, key: str, ids: list[str]) -> None:
    settings.SECRET_KEY = key
    found = checks.secrets()
    assert [message.id for message in found] == ids
    assert all(message.hint for message in found)


@pytest.mark.parametrize("market", ["auto", *VENUES])
def test_every_venue_is_a_market(settings: Settings, market: str) -> None:
    settings.MARKET = market
    assert checks.market() == []


LANGUAGE = {"GEMINI_API_KEY": "a key", "GEMINI_MODEL": "a model", "LLM_DAILY_TOKEN_CAP": 1_000_000}


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({}, []),
        ({"GEMINI_API_KEY": "", "LLM_DAILY_TOKEN_CAP": 0}, []),
        ({"GEMINI_MODEL": ""}, ["candor.E020"]),
        ({"XAI_API_KEY": "a key"}, ["candor.E020"]),
        ({"LLM_DAILY_TOKEN_CAP": 0}, ["candor.E021"]),
        ({"LLM_DAILY_COST_CAP": 5.0}, ["candor.E022"]),
        ({"LLM_DAILY_COST_CAP": 5.0, "GEMINI_PRICE_IN": 1.0, "GEMINI_PRICE_OUT": 2.0}, []),
        ({"LLM_DEADLINE_S": 3.0, "LATE_AFTER_S": 3.0}, ["candor.E023"]),
    ],
)
def test_a_language_model_needs_a_name_a_cap_and_time(
    settings: Settings, changes: dict[str, object], ids: list[str]
) -> None:
    for name, value in {**LANGUAGE, **changes}.items():
        setattr(settings, name, value)
    found = checks.language_models()
    assert [message.id for message in found] == ids
    assert all(message.hint for message in found)


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({}, []),
        ({"FEED_NETWORKS": ["10.0.0.0/8", "fd00::/8"]}, []),
        ({"FEED_NETWORKS": ["10.0.0.1/8", "lan"]}, ["candor.E024", "candor.E024"]),
        ({"SENTIMENT_READER": "oracle"}, ["candor.E025"]),
        ({"SENTIMENT_READER": "finbert"}, ["candor.E026"]),
        ({"SENTIMENT_READER": "finbert", "SENTIMENT_FOLDER": "/models/finbert"}, []),
    ],
)
def test_feeds_and_their_reader_are_ones_that_there_are(
    settings: Settings, changes: dict[str, object], ids: list[str]
) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)
    found = checks.words()
    assert [message.id for message in found] == ids
    assert all(message.hint for message in found)


def test_an_unknown_market_stops_the_start_and_lists_the_known(settings: Settings) -> None:
    settings.MARKET = "the moon"
    (message,) = checks.market()
    assert message.id == "candor.E002"
    assert message.hint is not None
    assert all(name in message.hint for name in VENUES)


# ---- requests


def answer(**headers: str) -> tuple[HttpResponse, HttpRequest, dict[str, object]]:
    request, bound = RequestFactory().get("/", headers=headers), dict[str, object]()

    def view(request: HttpRequest) -> HttpResponse:
        bound.update(structlog.contextvars.get_contextvars())
        return HttpResponse("ok")

    return RequestContextMiddleware(view)(request), request, bound


def test_every_answer_carries_the_id_that_the_log_carries() -> None:
    response, request, bound = answer()
    given = response["X-Request-ID"]
    assert len(given) == 32
    assert bound == {"request_id": given}
    assert getattr(request, "request_id", None) == given
    assert structlog.contextvars.get_contextvars() == {}, "nothing of a request outlives it"
    assert answer()[0]["X-Request-ID"] != given


@pytest.mark.parametrize("given", ["abcdef12", "A-b-3" * 4, "x" * 64])
def test_a_harmless_id_of_the_callers_is_kept(given: str) -> None:
    assert answer(**{"X-Request-ID": given})[0]["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["short", "x" * 65, "with space", "new\nline12", "<script>alert", "ünïcödé99"])
def test_any_other_is_replaced(given: str) -> None:
    assert answer(**{"X-Request-ID": given})[0]["X-Request-ID"] != given


# ---- metrics


def ask(settings: Settings, *, token: str = "", address: str = "127.0.0.1", **headers: str) -> bytes:
    settings.METRICS_TOKEN = token
    return metrics(RequestFactory().get("/metrics", REMOTE_ADDR=address, headers=headers)).content


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_metrics_are_open_on_loopback(settings: Settings, address: str) -> None:
    assert b"# HELP" in ask(settings, address=address)


def test_metrics_are_hidden_from_others(settings: Settings) -> None:
    with pytest.raises(Http404):
        ask(settings, address="203.0.113.7")


def test_with_a_token_only_the_token_counts(settings: Settings) -> None:
    assert b"# HELP" in ask(settings, token="t0ken", address="203.0.113.7", Authorization="Bearer t0ken")
    for headers in ({}, {"Authorization": "Bearer other"}):
        with pytest.raises(Http404):
            ask(settings, token="t0ken", **headers)


# ---- logs


@pytest.fixture
def own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_logs_are_json_lines_with_the_bound_ids(own_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure({"json": True, "level": "INFO"})
    with structlog.contextvars.bound_contextvars(request_id="abc12345"):
        structlog.get_logger("candor.test").warning("minute_decided", rounds=8, symbol="line\nbreak")
        logging.getLogger("other").warning("plain %s", "words")
    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.strip().splitlines())
    assert (ours["event"], ours["rounds"], ours["request_id"], ours["level"]) == (
        "minute_decided",
        8,
        "abc12345",
        "warning",
    )
    assert (theirs["event"], theirs["request_id"], theirs["logger"]) == ("plain words", "abc12345", "other")


def test_lines_for_people_have_no_colours(own_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure({"json": False, "level": "WARNING"})
    logging.getLogger("other").warning("to read")
    logging.getLogger("other").info("not at this level")
    text = capsys.readouterr().err
    assert "to read" in text
    assert "not at this level" not in text
    assert "\x1b" not in text


# ---- keys


def test_a_secret_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    first = secret_key(tmp_path / "var")
    file = tmp_path / "var" / "secret_key"
    assert len(first) >= 50
    assert file.stat().st_mode & 0o777 == 0o600
    assert secret_key(tmp_path / "var") == first
    assert keep_secret(file, lambda: "another") == first


# ---- tasks


@pytest.mark.django_db  # a first import of the tasks runs the system checks
def test_beat_starts_tasks_that_exist() -> None:
    app.loader.import_default_modules()
    assert {entry["task"] for entry in SCHEDULE.values()} <= set(app.tasks)
    assert current_app.conf.task_acks_late
    assert current_app.conf.task_reject_on_worker_lost
    assert current_app.conf.worker_prefetch_multiplier == 1


def test_scoring_and_training_have_queues_of_their_own() -> None:
    router = app.amqp.router
    for name, queue in (
        ("signals.tasks.decide_minute", "score"),
        ("signals.tasks.sweep", "score"),
        ("models_ml.tasks.retrain", "train"),
    ):
        assert router.route({}, name)["queue"].name == queue
