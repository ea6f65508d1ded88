"""Rows of what we think with: model versions, calibrations, training runs."""

from django.db import models

from markets.models import Venue


class ModelVersion(models.Model):
    """One trained voter with all that is needed to trust it. Trained on one venue, it serves only that one."""

    class State(models.TextChoices):
        """At most one champion per voter, venue and market class."""

        CHAMPION = "champion", "Champion"
        RETIRED = "retired", "Retired"

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT)
    market_class = models.CharField(max_length=20)
    voter = models.CharField(max_length=30)
    profile = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=State, default=State.RETIRED)
    path = models.CharField(max_length=300, help_text="Folder below ARTIFACTS_DIR")
    sha256 = models.CharField(max_length=64)
    features_hash = models.CharField(max_length=64)
    code_version = models.CharField(max_length=40)
    seed = models.BigIntegerField()
    threshold = models.FloatField(help_text="|p_up − p_down| under this is neutral")
    metrics = models.JSONField(default=dict)
    trained_from = models.DateTimeField()
    trained_until = models.DateTimeField(help_text="Market clock of the last candle seen")
    trained_at = models.DateTimeField(help_text="Wall clock")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["voter", "venue", "market_class"],
                condition=models.Q(state="champion"),
                name="one_champion",
            )
        ]

    def __str__(self) -> str:
        return f"{self.voter} #{self.pk}"


class Calibration(models.Model):
    """Isotonic knots from consensus score to probability, fitted on a slice later than any voter's."""

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT)
    market_class = models.CharField(max_length=20)
    seats = models.PositiveSmallIntegerField(help_text="Size of the panel it was fitted for")
    knots = models.JSONField()
    n = models.PositiveIntegerField()
    trained_until = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)


class TrainingRun(models.Model):
    """One training of the panel, its progress and how it ended."""

    class State(models.TextChoices):
        """Where the run stands."""

        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT)
    profile = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    beat_at = models.DateTimeField(help_text="Wall clock of the last progress")
    voter = models.CharField(max_length=30, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    detail = models.TextField(blank=True)
