"""The operator's view of models: what was trained, what votes now, how its probabilities were calibrated."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from accounts.admin import ReadOnlyAdmin
from models_ml import console
from models_ml.models import (
    AgentVersion,
    Calibration,
    Challenge,
    LlmAnswer,
    LlmCall,
    LlmDay,
    MiningRun,
    ModelVersion,
    Mute,
    Pattern,
    Promotion,
    TrainingRun,
    Verdict,
)
from models_ml.votes import AbstainReason


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    """Trained voters; champions vote. What an operator does to them is previewed and confirmed."""

    list_display = ("id", "voter", "venue", "market_class", "state", "kind", "profile", "trained_until", "trained_at")
    list_select_related = ("venue",)
    list_filter = ("state", "voter", "kind", "profile", "venue")
    search_fields = ("sha256",)
    ordering = ("-id",)
    actions_detail = ("promote", "roll_back", "mute", "unmute", "retrain")

    @action(description=_("Promote"), url_path="promote")  # type: ignore[untyped-decorator]  # unfold has no types
    def promote(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Let a candidate that won its test take the seat."""
        return console.act_page(request, object_id, "promote")

    @action(description=_("Roll back to it"), url_path="roll-back")  # type: ignore[untyped-decorator]  # unfold has no types
    def roll_back(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Give the seat back to an earlier champion."""
        return console.act_page(request, object_id, "roll-back")

    @action(description=_("Mute the voter"), url_path="mute")  # type: ignore[untyped-decorator]  # unfold has no types
    def mute(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Silence the seat."""
        return console.act_page(request, object_id, "mute")

    @action(description=_("Unmute the voter"), url_path="unmute")  # type: ignore[untyped-decorator]  # unfold has no types
    def unmute(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Let the seat speak again."""
        return console.act_page(request, object_id, "unmute")

    @action(description=_("Retrain the voter"), url_path="retrain")  # type: ignore[untyped-decorator]  # unfold has no types
    def retrain(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Train a candidate for the seat."""
        return console.act_page(request, object_id, "retrain")


@admin.register(Challenge)
class ChallengeAdmin(ReadOnlyAdmin):
    """Registered tests."""

    list_display = ("id", "candidate", "champion", "metric", "least_n", "margin", "opens_at", "closes_at")
    list_select_related = ("candidate", "champion")
    ordering = ("-id",)


@admin.register(Verdict)
class VerdictAdmin(ReadOnlyAdmin):
    """How they ended."""

    list_display = ("challenge", "won", "n", "candidate_loss", "champion_loss", "gain", "gain_low", "skill", "reason")
    list_select_related = ("challenge__candidate",)
    list_filter = ("won",)
    ordering = ("-challenge_id",)


@admin.register(Promotion)
class PromotionAdmin(ReadOnlyAdmin):
    """Who took which seat by what right."""

    list_display = ("id", "version", "kind", "before", "at", "by")
    list_select_related = ("version", "before")
    list_filter = ("kind", "voter", "venue")
    ordering = ("-id",)


@admin.register(Mute)
class MuteAdmin(ReadOnlyAdmin):
    """Who was silenced, why, and until when."""

    list_display = ("id", "voter", "venue", "market_class", "reason", "detail", "muted_at", "lifted_at", "lifted_by")
    list_select_related = ("venue",)
    list_filter = ("reason", "voter")
    ordering = ("-id",)


@admin.register(AgentVersion)
class AgentVersionAdmin(ReadOnlyAdmin):
    """What agents learned; the newest of each venue and market class speaks."""

    list_display = ("id", "agent", "venue", "market_class", "profile", "trained_until", "trained_at")
    list_select_related = ("venue",)
    list_filter = ("agent", "profile", "venue")
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
