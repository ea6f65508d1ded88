"""Rows of what we say: rounds with their nine votes, signals, outcomes, and the log that the live page replays."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from markets.models import Instrument, Venue


class Round(models.Model):
    """One scheduled decision, issued or not. Append-only, one per (instrument, horizon, close_time).

    Partitioned by month on `close_time`: the table's key is (close_time, id), which Django, admin and references see
    as `id`. The nine votes are arrays in the panel's seat order.
    """

    class State(models.TextChoices):
        """How the round ended."""

        ISSUED = "issued", "Issued"
        SILENT = "silent", "No consensus"
        VETOED = "vetoed", "Vetoed"
        TAINTED = "tainted", "Tainted data"
        LATE = "late", "Late"
        MISSED = "missed", "Missed"

    id = models.BigAutoField(primary_key=True)
    instrument = models.ForeignKey(Instrument, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    horizon_s = models.PositiveIntegerField()
    close_time = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State)
    reason = models.CharField(max_length=60, blank=True)
    seats = models.SmallIntegerField(default=0, help_text="Voters in the panel in force: 9, or 7 without the LLMs")
    quorum = models.SmallIntegerField(default=0)
    conservative = models.BooleanField(default=False)
    p_down = ArrayField(models.FloatField(null=True), default=list)
    p_neutral = ArrayField(models.FloatField(null=True), default=list)
    p_up = ArrayField(models.FloatField(null=True), default=list)
    directions = ArrayField(models.SmallIntegerField(null=True), default=list)
    abstained = ArrayField(models.SmallIntegerField(), default=list)
    latency_ms = ArrayField(models.FloatField(), default=list)
    model_ids = ArrayField(models.IntegerField(), default=list)
    lens_directions = ArrayField(
        models.SmallIntegerField(), default=list, db_default=[], help_text="Of the five lenses, in LENS_KEYS order"
    )
    lens_reasons = ArrayField(models.TextField(), default=list, db_default=[], help_text="What each of them said then")
    outlook = models.JSONField(default=dict, db_default={}, help_text="What the agents said; see models_ml/outlook.py")
    direction = models.SmallIntegerField(default=0, help_text="1 up, −1 down, 0 none")
    up_votes = models.SmallIntegerField(default=0)
    down_votes = models.SmallIntegerField(default=0)
    neutral_votes = models.SmallIntegerField(default=0)
    vote_share = models.FloatField(null=True)
    score = models.FloatField(null=True)
    probability = models.FloatField(null=True)
    probability_low = models.FloatField(null=True)
    probability_high = models.FloatField(null=True)
    probability_n = models.IntegerField(null=True)
    probability_source = models.CharField(max_length=10, blank=True, help_text="validation, or live once n ≥ 100")
    probability_floor = models.FloatField(null=True, help_text="The stack's own lower bound; empty without a stack")
    actionable = models.BooleanField(default=False, db_default=False, help_text="The lower bound clears break-even")
    risk_score = models.FloatField(null=True)
    risk_parts = models.JSONField(default=dict)
    vetoes = ArrayField(models.CharField(max_length=30), default=list)
    taint = models.IntegerField(default=0)
    close = models.FloatField(null=True)
    atr = models.FloatField(null=True)
    volatility = models.FloatField(null=True)
    observed_at = models.DateTimeField(null=True, help_text="When the closing candle arrived")
    decided_at = models.DateTimeField(help_text="Wall clock")
    decision_ms = models.FloatField(null=True)

    class Meta:
        managed = True
        ordering = ["-close_time", "-id"]

    def __str__(self) -> str:
        return f"round {self.pk} {self.state}"


class Signal(models.Model):
    """An issued round as subscribers see it. Append-only; its life is told by its outcomes."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid.uuid4, unique=True)
    round_id = models.BigIntegerField()
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT)
    horizon_s = models.PositiveIntegerField()
    close_time = models.DateTimeField(help_text="With round_id, the round's key")
    expires_at = models.DateTimeField()
    issued_at = models.DateTimeField(help_text="Wall clock")
    direction = models.SmallIntegerField()
    entry = models.FloatField(help_text="Last close; the outcome enters at the next candle's open")
    stop = models.FloatField(null=True)
    target = models.FloatField(null=True)
    payout = models.FloatField()
    expected_move_bps = models.FloatField(null=True, help_text="After costs")
    tier = models.PositiveSmallIntegerField()
    risk_label = models.CharField(max_length=6)
    vote_share = models.FloatField()
    score = models.FloatField()
    probability = models.FloatField(null=True)
    probability_low = models.FloatField(null=True)
    probability_high = models.FloatField(null=True)
    probability_n = models.IntegerField(null=True)
    probability_source = models.CharField(max_length=10, blank=True, help_text="validation, or live once n ≥ 100")
    probability_floor = models.FloatField(null=True, help_text="The stack's own lower bound; empty without a stack")
    actionable = models.BooleanField(default=False, db_default=False, help_text="The lower bound clears break-even")
    suggested_risk = models.FloatField(null=True, help_text="Share of capital to risk, 0 to 0.02; empty on old rows")
    suggested_position = models.FloatField(null=True, help_text="Share of capital to buy or sell for it")
    risk_note = models.CharField(max_length=200, default="", db_default="", help_text="One sentence")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instrument", "horizon_s", "close_time"], name="signal_once"),
        ]
        indexes = [models.Index(fields=["expires_at"]), models.Index(fields=["round_id"])]
        ordering = ["-close_time", "-id"]

    def __str__(self) -> str:
        return f"signal {self.public_id}"


class Outcome(models.Model):
    """What became of a signal, with its evidence. Append-only: a later correction adds the next revision."""

    class Result(models.TextChoices):
        """Every issued signal ends as one of these."""

        WON = "won", "Won"
        LOST = "lost", "Lost"
        TIE = "tie", "Tie"
        VOID = "void", "Void"

    signal = models.ForeignKey(Signal, on_delete=models.PROTECT, related_name="outcomes")
    revision = models.PositiveSmallIntegerField(default=1)
    result = models.CharField(max_length=4, choices=Result)
    reason = models.CharField(max_length=60, blank=True)
    entry = models.FloatField(null=True)
    exit = models.FloatField(null=True)
    entry_candle = models.DateTimeField(null=True, help_text="open_time of the candle whose open was the entry")
    exit_candle = models.DateTimeField(null=True, help_text="open_time of the candle whose close was the exit")
    evidence_observed_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(help_text="Wall clock")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["signal", "revision"], name="outcome_revision_once")]


class SizingShadow(models.Model):
    """What the learned sizing and volatility-targeted Kelly would stake on a signal, said before its outcome was known.

    Nobody sizes by it: docs/decisions/0011-learned-sizing-stays-a-shadow.md. Append-only, one row a signal at most.
    """

    signal = models.OneToOneField(Signal, on_delete=models.PROTECT, related_name="sizing_shadow")
    version = models.ForeignKey("models_ml.AgentVersion", on_delete=models.PROTECT, help_text="Who staked")
    stake = models.FloatField(help_text="Of the learned sizing: share of equity, 0 to 0.02")
    kelly = models.FloatField(help_text="Of volatility-targeted Kelly: the same")
    volatility = models.FloatField(help_text="Forecast deviation of the next hour over the usual one")
    drawdown = models.FloatField(help_text="Of the shadow account, 0 to 1, as it then stood")
    recent = models.FloatField(help_text="Running mean of its results, −1 to 1, as it then stood")
    decided_at = models.DateTimeField(help_text="Market clock")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(stake__gte=0, stake__lte=0.02), name="shadow_stake_small"),
            models.CheckConstraint(condition=models.Q(kelly__gte=0, kelly__lte=0.02), name="shadow_kelly_small"),
        ]

    def __str__(self) -> str:
        return f"shadow of signal {self.signal_id}"


class PanelRecord(models.Model):
    """How the voters of a market class did on their newest judged votes; the newest row is shown. Append-only."""

    venue = models.ForeignKey(Venue, on_delete=models.CASCADE)
    market_class = models.CharField(max_length=20)
    measured_at = models.DateTimeField(help_text="Wall clock")
    until = models.DateTimeField(help_text="Market clock")
    figures = models.JSONField(help_text="Per voter, error correlation, contributions; see signals/panel_record.py")

    class Meta:
        indexes = [models.Index(fields=["venue", "market_class", "-id"], name="panel_record_newest")]


class PushEvent(models.Model):
    """What the live page was told, in order; a reader that was away reads on from its last id."""

    id = models.BigAutoField(primary_key=True)
    venue = models.ForeignKey(Venue, on_delete=models.CASCADE)
    kind = models.CharField(max_length=12)
    at = models.DateTimeField(help_text="Market instant from which a plan's delay counts")
    created_at = models.DateTimeField(help_text="Wall clock")
    body = models.TextField(help_text="The JSON that every socket of the group receives")

    class Meta:
        indexes = [
            models.Index(fields=["created_at"]),
            models.Index(fields=["venue", "id"]),
            models.Index(fields=["venue", "at"]),
        ]
