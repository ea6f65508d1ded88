"""The operator sees the record and cannot touch it."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from lib.clock import floor_minute, wall_now
from models_ml.models import AgentVersion, Calibration, ModelVersion, TrainingRun
from signals import push
from signals.admin import COUNTED, CappedPaginator
from signals.models import Outcome, PushEvent, Round, Signal, SizingShadow
from tests.people import Person
from tests.signals.rows import instruments_of, make_outcome, make_run, make_signal
from tests.signals.shadows import shadow

pytestmark = pytest.mark.django_db

RECORD = (Round, Signal, Outcome, SizingShadow, PushEvent, ModelVersion, Calibration, TrainingRun)


@pytest.fixture
def record() -> None:
    run, now = make_run(), floor_minute(wall_now())
    signal = make_signal(instruments_of(run)[0], now)
    make_outcome(signal)
    fit = AgentVersion.objects.create(
        venue=run.venue, market_class="crypto", agent="sizing_rl", profile="quick", path="x", sha256="0" * 64,
        code_version="1", seed=1, trained_from=now - timedelta(days=3), trained_until=now, trained_at=now,
    )  # fmt: skip
    shadow(signal, fit, 0.01, 0.02)
    push.publish("rounds", {"cards": []}, venue_id=run.venue_id, at=now)
    ModelVersion.objects.create(
        venue=run.venue, market_class="crypto", voter="xgb", profile="quick", path="x", sha256="0" * 64,
        features_hash="0" * 64, code_version="1", seed=1, threshold=0.1, trained_from=now - timedelta(days=3),
        trained_until=now, trained_at=now,
    )  # fmt: skip
    Calibration.objects.create(
        venue=run.venue, market_class="crypto", seats=9, knots=[[0, 0.5], [1, 0.6]], n=100, trained_until=now
    )
    TrainingRun.objects.create(venue=run.venue, profile="quick", started_at=now, beat_at=now)


def address(model: type, page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)  # type: ignore[attr-defined]  # models all


@pytest.mark.parametrize("model", RECORD)
def test_operator_reads_and_nobody_writes(record: None, operator: Person, model: type) -> None:
    row = model._default_manager.get()  # type: ignore[attr-defined]  # models all
    assert operator.client.get(address(model, "changelist")).status_code == 200
    assert operator.client.get(address(model, "change", row.pk)).status_code == 200
    assert operator.client.get(address(model, "add")).status_code == 403
    assert operator.client.post(address(model, "change", row.pk), {}).status_code == 403
    assert operator.client.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model._default_manager.count() == 1  # type: ignore[attr-defined]  # models all


@pytest.mark.parametrize("model", RECORD)
def test_members_do_not_reach_the_console(owner: Person, model: type) -> None:
    assert owner.client.get(address(model, "changelist")).status_code in {302, 403, 404}


def test_every_model_of_the_floor_is_in_the_console() -> None:
    assert set(RECORD) <= set(admin.site._registry)


def test_paging_counts_only_so_far() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert CappedPaginator(Round.objects.order_by("-close_time"), 50).count == 0
    assert f"LIMIT {COUNTED}" in queries[0]["sql"]
