"""The rows of what agents learned, in a file of their own beside the other models'."""

from django.db import models

from markets.models import Venue


class AgentVersion(models.Model):
    """One fit of an agent of candles, or of the learned sizing; the newest of its venue and class speaks. Append-only.

    An agent has no vote and so no chair to win: docs/decisions/0010-agents-sit-in-no-chair.md.
    """

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT)
    market_class = models.CharField(max_length=20)
    agent = models.CharField(max_length=30)
    profile = models.CharField(max_length=20)
    path = models.CharField(max_length=300, help_text="Folder below ARTIFACTS_DIR")
    sha256 = models.CharField(max_length=64)
    code_version = models.CharField(max_length=40)
    seed = models.BigIntegerField()
    metrics = models.JSONField(default=dict, help_text="On later minutes than its judged copy learned from")
    trained_from = models.DateTimeField()
    trained_until = models.DateTimeField(help_text="Market clock of the last candle seen")
    trained_at = models.DateTimeField(help_text="Wall clock")

    class Meta:
        indexes = [models.Index(fields=["venue", "market_class", "agent", "-id"], name="agent_newest")]

    def __str__(self) -> str:
        return f"{self.agent} #{self.pk}"
