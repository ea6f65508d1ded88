"""The operator's view of models: what was trained, what votes now, how its probabilities were calibrated."""

from django.contrib import admin

from accounts.admin import ReadOnlyAdmin
from models_ml.models import Calibration, LlmAnswer, LlmCall, LlmDay, MiningRun, ModelVersion, Pattern, TrainingRun
from models_ml.votes import AbstainReason


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    """Trained voters; champions vote."""

    list_display = ("id", "voter", "venue", "market_class", "state", "profile", "trained_until", "trained_at")
    list_select_related = ("venue",)
    list_filter = ("state", "voter", "profile", "venue")
    search_fields = ("sha256",)
    ordering = ("-id",)


@admin.register(Calibration)
class CalibrationAdmin(ReadOnlyAdmin):
    """Curves from score to probability."""

    list_display = ("id", "venue", "market_class", "seats", "n", "trained_until", "created_at")
    list_select_related = ("venue",)
    list_filter = ("venue", "seats")
    ordering = ("-id",)


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    """Trainings and how they ended."""

    list_display = ("id", "venue", "profile", "state", "voter", "done", "total", "started_at", "finished_at")
    list_select_related = ("venue",)
    list_filter = ("state", "venue")
    ordering = ("-id",)


@admin.register(LlmCall)
class LlmCallAdmin(ReadOnlyAdmin):
    """What language models were asked."""

    list_display = ("id", "provider", "model", "instrument", "close_time", "attempt", "asked_at", "most_tokens")
    list_select_related = ("instrument__venue",)
    list_filter = ("provider", "model", "template")
    search_fields = ("prompt_hash",)
    ordering = ("-id",)


@admin.register(LlmDay)
class LlmDayAdmin(ReadOnlyAdmin):
    """What they used up, by day."""

    list_display = ("day", "tokens", "cost")
    ordering = ("-day",)


@admin.register(LlmAnswer)
class LlmAnswerAdmin(ReadOnlyAdmin):
    """What they said, or why there is no vote. Their words are foreign text: templates escape them."""

    list_display = ("call", "outcome", "direction", "confidence", "reason", "tokens", "cost", "latency_ms", "detail")
    list_select_related = ("call",)
    list_filter = ("provider", "abstained")
    ordering = ("-call_id",)

    @admin.display(description="Outcome")
    def outcome(self, answer: LlmAnswer) -> str:
        """The word of its abstention, or "vote"."""
        return AbstainReason(answer.abstained).word if answer.abstained else "vote"


@admin.register(MiningRun)
class MiningRunAdmin(ReadOnlyAdmin):
    """Searches for patterns."""

    list_display = (
        "id",
        "venue",
        "market_class",
        "state",
        "tried",
        "candidates",
        "promoted",
        "started_at",
        "finished_at",
    )
    list_select_related = ("venue",)
    list_filter = ("state", "market_class", "venue")
    ordering = ("-id",)


@admin.register(Pattern)
class PatternAdmin(ReadOnlyAdmin):
    """Candidates, promoted and retired patterns."""

    list_display = (
        "id", "key", "direction", "kind", "state", "venue", "market_class", "later_n", "later_hits", "p_value",
        "q_value", "live_n", "live_hits",
    )  # fmt: skip
    list_select_related = ("venue",)
    list_filter = ("state", "kind", "market_class", "venue")
    search_fields = ("key",)
    ordering = ("p_value",)
