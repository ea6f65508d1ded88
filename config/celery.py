"""Celery: queues and what beat starts. The schedule is copied into the database once, where an operator edits it."""

import os
from pathlib import Path
from typing import Any

import structlog
from celery import Celery
from celery.schedules import crontab
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun, worker_ready
from django.conf import settings
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")

TRANSPORT_ALIASES.update(redis="config.broker:Transport", rediss="config.broker:Transport")
app = Celery("candor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

app.conf.task_routes = {
    "signals.tasks.decide_minute": {"queue": "score"},
    "signals.tasks.sweep": {"queue": "score"},
    "signals.tasks.resolve_outcomes": {"queue": "score"},
    "models_ml.tasks.sweep_trainings": {"queue": "score"},  # a worker of `train` may be busy with all its threads
    "models_ml.tasks.*": {"queue": "train"},
}


def gpu_table(wish: str) -> bool:
    """Whether the nets are updated during the day too: as TRAINING_TABLE says, or by whether there is a GPU here."""
    return wish == "gpu" or (wish == "auto" and Path("/dev/nvidia0").exists())


def updates(*, gpu: bool) -> dict[str, dict[str, Any]]:
    """Incremental updates by voter. Without a GPU those of the nets are there and switched off."""
    every = {"lstm": 5, "gru": 5, "transformer": 15, "xgb": 30, "random_forest": 60, "cnn": 60, "cnn_lstm_book": 120}
    return {
        f"update {seat}": {
            "task": "models_ml.tasks.update",
            "schedule": minutes * 60.0,
            "args": ([seat],),
            "enabled": gpu or seat in TREES,
            "options": {"expire_seconds": minutes * 60},
        }
        for seat, minutes in every.items()
    }


TREES = ("xgb", "random_forest")
"""Voters quick enough to be trained during the day on one thread."""

SCHEDULE: dict[str, dict[str, Any]] = {
    "ingest every closed minute": {
        "task": "markets.tasks.ingest_closed",
        "schedule": crontab(),
        "options": {"expire_seconds": 50},
    },
    "decide what is due": {"task": "signals.tasks.sweep", "schedule": 15.0, "options": {"expire_seconds": 14}},
    "resolve outcomes": {"task": "signals.tasks.resolve_outcomes", "schedule": 10.0, "options": {"expire_seconds": 10}},
    "measure data quality": {
        "task": "markets.tasks.measure_quality",
        "schedule": crontab(),
        "options": {"expire_seconds": 50},
    },
    "poll funding and open interest": {
        "task": "markets.tasks.poll_derivatives",
        "schedule": 600.0,
        "options": {"expire_seconds": 300},
    },
    "poll headlines, events and indexes": {
        "task": "markets.tasks.poll_words",
        "schedule": 60.0,
        "options": {"expire_seconds": 55},
    },
    "forget old headlines": {"task": "markets.tasks.forget_old_headlines", "schedule": crontab(minute="57", hour="3")},
    "create partitions": {"task": "markets.tasks.create_partitions", "schedule": crontab(minute="7", hour="*/6")},
    "drop old books": {"task": "markets.tasks.drop_old_books", "schedule": crontab(minute="17", hour="3")},
    "forget old push events": {"task": "signals.tasks.forget_push_events", "schedule": crontab(minute="27")},
    "forget old language calls": {
        "task": "models_ml.tasks.forget_language_calls",
        "schedule": crontab(minute="37", hour="3"),
    },
    "keep what privacy promises": {"task": "accounts.tasks.keep_promises", "schedule": crontab(minute="*/15")},
    "forget old rows of accounts": {
        "task": "accounts.tasks.forget_old_rows",
        "schedule": crontab(minute="47", hour="3"),
    },
    "work on events of payments": {
        "task": "billing.tasks.sweep_events",
        "schedule": 60.0,
        "options": {"expire_seconds": 55},
    },
    "let time pass for subscriptions": {
        "task": "billing.tasks.pass_time",
        "schedule": 60.0,
        "options": {"expire_seconds": 55},
    },
    "mine patterns": {
        "task": "models_ml.tasks.mine_patterns",
        "schedule": crontab(minute="20", hour="4"),
        "options": {"expire_seconds": 3600},
    },
    "retrain": {
        "task": "models_ml.tasks.retrain",
        "schedule": crontab(minute="30", hour="2"),
        "options": {"expire_seconds": 3600},
    },
    "tune": {
        "task": "models_ml.tasks.tune",
        "schedule": crontab(minute="30", hour="5", day_of_week="sun"),
        "args": (list(TREES),),
        "options": {"expire_seconds": 3600},
    },
    "judge candidates": {"task": "models_ml.tasks.judge", "schedule": 300.0, "options": {"expire_seconds": 290}},
    "review the panel": {"task": "models_ml.tasks.review_panel", "schedule": crontab(minute="41")},
    "recalibrate": {"task": "models_ml.tasks.recalibrate", "schedule": crontab(minute="10", hour="1")},
    "sweep trainings": {
        "task": "models_ml.tasks.sweep_trainings",
        "schedule": 10.0,
        "options": {"expire_seconds": 10},
    },
    **updates(gpu=gpu_table(settings.TRAINING_TABLE)),
}
app.conf.beat_schedule = SCHEDULE


@setup_logging.connect
def _keep_our_logging(**kwargs: Any) -> None:
    """Celery would otherwise replace the handlers that config.logs made."""


@before_task_publish.connect
def _pass_request_id(headers: dict[str, Any], **kwargs: Any) -> None:
    """A task carries the id of the request that caused it, through any number of tasks."""
    if request_id := structlog.contextvars.get_contextvars().get("request_id"):
        headers["request_id"] = request_id


@task_prerun.connect
def _bind_ids(task_id: str, task: Any, **kwargs: Any) -> None:  # noqa: ANN401  # any task
    """What a task logs carries its id, and its request's."""
    request_id = task.request.get("request_id")
    structlog.contextvars.bind_contextvars(task_id=task_id, **({"request_id": request_id} if request_id else {}))


@task_postrun.connect
def _unbind_ids(**kwargs: Any) -> None:
    """The thread's next task begins with none."""
    structlog.contextvars.unbind_contextvars("task_id", "request_id")


@worker_ready.connect
def _warm_up(**kwargs: Any) -> None:
    """Import the voters' libraries before the first minute: they cost seconds that a round does not have."""
    import sklearn.ensemble  # noqa: F401
    import torch  # noqa: F401
    import xgboost  # noqa: F401

    from lib.clock import epoch
    from markets.runs import current_run, market_time
    from models_ml import asking, outlook
    from models_ml.champions import warm

    asking.warm()
    if (run := current_run()) is not None:
        warm(run.venue_id)
        outlook.warm(run.venue_id, epoch(market_time(run)))
