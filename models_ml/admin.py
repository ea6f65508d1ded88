"""The operator's view of models: what was trained, what votes now, how its probabilities were calibrated."""

from django.contrib import admin

from accounts.admin import ReadOnlyAdmin
from models_ml.models import Calibration, ModelVersion, TrainingRun


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
