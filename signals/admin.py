"""The operator's view of what was said. The record is append-only, so nothing here can be added, changed or deleted."""

from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator

from accounts.admin import ReadOnlyAdmin
from signals.models import Outcome, PushEvent, Round, Signal, SizingShadow

COUNTED = 10_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Counts as far as anybody pages: counting 26 million rounds a year would take seconds on each look."""

    @cached_property
    def count(self) -> int:
        """Rows, at most `COUNTED`."""
        rows: Any = self.object_list
        return int(rows[:COUNTED].count())


class RecordAdmin(ReadOnlyAdmin):
    """A table of the record."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50


@admin.register(Round)
class RoundAdmin(RecordAdmin):
    """Every scheduled decision, issued or not."""

    list_display = (
        "id", "instrument", "close_time", "state", "reason", "direction", "up_votes", "down_votes", "probability",
        "risk_score", "decision_ms",
    )  # fmt: skip
    list_select_related = ("instrument__venue",)
    list_filter = ("state", "direction", "instrument__venue")
    ordering = ("-close_time", "-id")


@admin.register(Signal)
class SignalAdmin(RecordAdmin):
    """Issued rounds as subscribers see them."""

    list_display = (
        "public_id",
        "instrument",
        "close_time",
        "direction",
        "tier",
        "risk_label",
        "probability",
        "issued_at",
    )
    list_select_related = ("instrument__venue",)
    list_filter = ("direction", "tier", "risk_label", "instrument__venue")
    search_fields = ("public_id",)


@admin.register(Outcome)
class OutcomeAdmin(RecordAdmin):
    """What became of signals; a correction is a further revision."""

    list_display = ("signal", "revision", "result", "reason", "entry", "exit", "resolved_at")
    list_select_related = ("signal",)
    list_filter = ("result",)
    ordering = ("-id",)


@admin.register(SizingShadow)
class SizingShadowAdmin(RecordAdmin):
    """What the learned sizing would have staked; nobody sizes by it."""

    list_display = ("signal", "version", "stake", "kelly", "volatility", "drawdown", "recent", "decided_at")
    list_select_related = ("signal", "version")
    ordering = ("-id",)


@admin.register(PushEvent)
class PushEventAdmin(RecordAdmin):
    """What the live page was told, as long as it is kept."""

    list_display = ("id", "venue", "kind", "at", "created_at")
    list_select_related = ("venue",)
    list_filter = ("kind", "venue")
    ordering = ("-id",)
