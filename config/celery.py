"""Celery: queues and what beat starts. The schedule is copied into the database once, where an operator edits it."""

import os
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import setup_logging, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")

app = Celery("candor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

app.conf.task_routes = {
    "signals.tasks.decide_minute": {"queue": "score"},
    "signals.tasks.sweep": {"queue": "score"},
    "signals.tasks.resolve_outcomes": {"queue": "score"},
    "models_ml.tasks.*": {"queue": "train"},
}

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
    "create partitions": {"task": "markets.tasks.create_partitions", "schedule": crontab(minute="7", hour="*/6")},
    "drop old books": {"task": "markets.tasks.drop_old_books", "schedule": crontab(minute="17", hour="3")},
    "forget old push events": {"task": "signals.tasks.forget_push_events", "schedule": crontab(minute="27")},
    "forget old language calls": {
        "task": "models_ml.tasks.forget_language_calls",
        "schedule": crontab(minute="37", hour="3"),
    },
    "retrain": {
        "task": "models_ml.tasks.retrain",
        "schedule": crontab(minute="30", hour="2"),
        "options": {"expire_seconds": 3600},
    },
}
app.conf.beat_schedule = SCHEDULE


@setup_logging.connect
def _keep_our_logging(**kwargs: Any) -> None:
    """Celery would otherwise replace the handlers that config.logs made."""


@worker_ready.connect
def _warm_up(**kwargs: Any) -> None:
    """Import the voters' libraries before the first minute: they cost seconds that a round does not have."""
    import sklearn.ensemble  # noqa: F401
    import torch  # noqa: F401
    import xgboost  # noqa: F401

    from markets.runs import current_run
    from models_ml import asking
    from models_ml.champions import warm

    asking.warm()
    if (run := current_run()) is not None:
        warm(run.venue_id)
