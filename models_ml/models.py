"""Rows of what we think with: model versions, calibrations, training runs."""

from django.db import models

from markets.models import Instrument, Venue
from models_ml.agent_versions import AgentVersion as AgentVersion  # Django looks for models here


class ModelVersion(models.Model):
    """One trained voter, or the stack over all of them, with all that is needed to trust it.

    Trained on one venue, it serves only that one. Nothing of a row ever changes but its state: the database lets the
    application update no other column, and nobody becomes champion without the `Promotion` that names it.
    """

    class State(models.TextChoices):
        """At most one champion per voter, venue and market class."""

        CANDIDATE = "candidate", "Candidate"
        CHAMPION = "champion", "Champion"
        RETIRED = "retired", "Retired"
        BEATEN = "beaten", "Beaten"

    class Kind(models.TextChoices):
        """What made it."""

        FULL = "full", "Full training"
        UPDATE = "update", "Update"
        TUNED = "tuned", "Tuning"

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT)
    market_class = models.CharField(max_length=20)
    voter = models.CharField(max_length=30)
    profile = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=State, default=State.CANDIDATE)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.FULL)
    tuned = models.JSONField(default=dict, blank=True, help_text="Sizes of the profile that tuning replaced")
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


class Challenge(models.Model):
    """A candidate's one test, written down before the candles exist that it is judged on. Append-only.

    Rows count that close after `opens_at` and by `closes_at`, which lie after everything either model learned from
    and after every candle stored when the test was registered.
    """

    class Metric(models.TextChoices):
        """Mean loss over all three outcomes, in which the candidate has to gain."""

        BRIER = "brier", "Brier score"
        LOG_LOSS = "log_loss", "Log loss"

    candidate = models.OneToOneField(ModelVersion, on_delete=models.PROTECT, related_name="challenge")
    champion = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="defences")
    metric = models.CharField(max_length=10, choices=Metric, default=Metric.BRIER)
    least_n = models.PositiveIntegerField(help_text="Fewer decided minutes than this, and it is not won")
    margin = models.FloatField(help_text="What the lower bound of the gain has to reach")
    opens_at = models.DateTimeField(help_text="Market clock")
    closes_at = models.DateTimeField(help_text="Market clock")
    registered_at = models.DateTimeField(help_text="Wall clock")
    registered_by = models.CharField(max_length=60)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(closes_at__gt=models.F("opens_at")), name="challenge_lasts"),
            models.CheckConstraint(condition=models.Q(least_n__gte=1), name="challenge_has_rows"),
        ]

    def __str__(self) -> str:
        return f"test of {self.candidate}"


class Verdict(models.Model):
    """How a test ended. Append-only; the database refuses one that is won against its own figures."""

    challenge = models.OneToOneField(Challenge, on_delete=models.PROTECT, primary_key=True, related_name="verdict")
    won = models.BooleanField()
    n = models.PositiveIntegerField(help_text="Decided minutes, over all instruments")
    candidate_loss = models.FloatField(null=True)
    champion_loss = models.FloatField(null=True)
    gain = models.FloatField(null=True, help_text="Champion's loss less the candidate's")
    gain_low = models.FloatField(null=True, help_text="Lower end of its 95 % interval")
    skill = models.FloatField(null=True, help_text="Gain over the best constant forecast in hindsight")
    reason = models.CharField(max_length=120, blank=True)
    concluded_at = models.DateTimeField(help_text="Wall clock")

    def __str__(self) -> str:
        return f"{self.challenge}: {'won' if self.won else 'not won'}"


class Promotion(models.Model):
    """Who took a seat, when, and by what right. Append-only: the history of every chair."""

    class Kind(models.TextChoices):
        """By what right."""

        BOOTSTRAP = "bootstrap", "First of an empty seat"
        WON = "won", "Won its test"
        ROLLBACK = "rollback", "Rolled back"

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotions")
    venue = models.ForeignKey(Venue, on_delete=models.PROTECT)
    market_class = models.CharField(max_length=20)
    voter = models.CharField(max_length=30)
    features_hash = models.CharField(max_length=64)
    kind = models.CharField(max_length=10, choices=Kind)
    verdict = models.OneToOneField(Verdict, null=True, blank=True, on_delete=models.PROTECT, related_name="promotion")
    before = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(help_text="Wall clock")
    by = models.CharField(max_length=60)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="won", verdict__isnull=False)
                | (~models.Q(kind="won") & models.Q(verdict=None)),
                name="promotion_by_verdict",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} by {self.kind}"


class Mute(models.Model):
    """A voter that was silenced, why, and until when; at most one open mute a seat. Never deleted, lifted once."""

    class Reason(models.TextChoices):
        """Who or what silenced it."""

        LOSS = "log_loss", "Its log loss rose (ADWIN)"
        FEATURES = "features", "Its features left the training slice (PSI)"
        OPERATOR = "operator", "An operator"

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT)
    market_class = models.CharField(max_length=20)
    voter = models.CharField(max_length=30)
    reason = models.CharField(max_length=10, choices=Reason)
    detail = models.CharField(max_length=200, blank=True)
    muted_at = models.DateTimeField(help_text="Wall clock")
    muted_by = models.CharField(max_length=60)
    lifted_at = models.DateTimeField(null=True, blank=True, help_text="Wall clock")
    lifted_by = models.CharField(max_length=60, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["venue", "market_class", "voter"], condition=models.Q(lifted_at=None), name="one_open_mute"
            )
        ]

    def __str__(self) -> str:
        return f"{self.voter} muted: {self.get_reason_display()}"


class Calibration(models.Model):
    """From a score to a probability, fitted on a slice later than anything a voter learned from; the newest counts.

    Of the panel (`stack` empty): isotonic knots from its lean. Of a stack: its calibrator, and how often its statements
    came true on that slice, by bin.
    """

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT)
    market_class = models.CharField(max_length=20)
    seats = models.PositiveSmallIntegerField(help_text="Size of the panel it was fitted for")
    stack = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="maps")
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
    kind = models.CharField(max_length=10, choices=ModelVersion.Kind, default=ModelVersion.Kind.FULL)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    beat_at = models.DateTimeField(help_text="Wall clock of the last progress")
    voter = models.CharField(max_length=30, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    detail = models.TextField(blank=True)


class LlmCall(models.Model):
    """One question to a language model, written before it is put. Append-only.

    The key (provider, model, prompt hash, attempt) makes sure that nobody puts it twice: not another worker, not after
    a restart, not in a replay. What it can use up at most counts against the day until its answer says what it did.
    """

    provider = models.CharField(max_length=30, help_text="Seat of the panel")
    model = models.CharField(max_length=120)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, db_index=False)
    close_time = models.DateTimeField(help_text="Close of the candle that was asked about")
    template = models.CharField(max_length=30, help_text="Version of the prompt")
    prompt_hash = models.CharField(max_length=64, help_text="sha256 of instructions and facts")
    attempt = models.PositiveSmallIntegerField(default=1, help_text="2 is the one repair")
    asked_at = models.DateTimeField(help_text="Wall clock; a moment ahead where it waits for its place in the minute")
    most_tokens = models.PositiveIntegerField(help_text="Upper bound of what it uses up")
    most_cost = models.FloatField(null=True, help_text="The same in money; empty without prices")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["prompt_hash", "provider", "model", "attempt"], name="language_model_asked_once"
            )
        ]
        indexes = [models.Index(fields=["provider", "asked_at"]), models.Index(fields=["instrument", "close_time"])]

    def __str__(self) -> str:
        return f"{self.provider} #{self.pk}"


class LlmAnswer(models.Model):
    """What came of a question. Append-only. Without a vote, `abstained` says why; texts are shown escaped only."""

    call = models.OneToOneField(LlmCall, on_delete=models.CASCADE, primary_key=True, related_name="answer")
    provider = models.CharField(max_length=30, help_text="That of the call, so that a minute costs no join")
    abstained = models.PositiveSmallIntegerField(default=0, help_text="AbstainReason, 0 where it is a vote")
    direction = models.SmallIntegerField(null=True, help_text="1 up, −1 down, 0 neutral")
    confidence = models.FloatField(null=True, help_text="As stated, 0 to 100: no probability")
    risk = models.CharField(max_length=6, blank=True)
    reason = models.CharField(max_length=400, blank=True, help_text="The model's own words")
    detail = models.CharField(max_length=200, blank=True, help_text="What was wrong with the call or the answer")
    tokens_in = models.PositiveIntegerField(null=True)
    tokens_out = models.PositiveIntegerField(null=True)
    tokens = models.PositiveIntegerField(help_text="What counts against the day; the upper bound where none was told")
    cost = models.FloatField(null=True, help_text="The same in money; empty without prices")
    latency_ms = models.FloatField()
    answered_at = models.DateTimeField(help_text="Wall clock")
    retry_at = models.DateTimeField(null=True, help_text="The provider asked to be left alone until then")

    class Meta:
        indexes = [
            models.Index(fields=["provider", "answered_at"]),
            models.Index(fields=["provider", "retry_at"], condition=models.Q(retry_at__isnull=False), name="resting"),
        ]


class LlmDay(models.Model):
    """What language models used up on one UTC day: the running sum over calls and answers, for the daily caps."""

    day = models.DateField(primary_key=True)
    tokens = models.BigIntegerField(default=0)
    cost = models.FloatField(default=0.0)


class MiningRun(models.Model):
    """One search for patterns on one market class: what was tried and what came through the gate."""

    class State(models.TextChoices):
        """Where the run stands."""

        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT)
    market_class = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    started_at = models.DateTimeField(help_text="Wall clock")
    finished_at = models.DateTimeField(null=True, blank=True, help_text="Wall clock")
    mined_from = models.DateTimeField(null=True, help_text="Market clock of the first candle")
    split_at = models.DateTimeField(null=True, help_text="Market clock at which the part that was searched ends")
    mined_until = models.DateTimeField(null=True, help_text="Market clock of the last candle")
    instruments = models.PositiveIntegerField(default=0)
    windows = models.BigIntegerField(default=0, help_text="Windows that were named")
    tried = models.PositiveIntegerField(default=0, help_text="Every (pattern, direction) that was looked at")
    candidates = models.PositiveIntegerField(default=0, help_text="Those that met the filter of the search")
    promoted = models.PositiveIntegerField(default=0, help_text="Those that came through the gate")
    fdr = models.FloatField(default=0.0, help_text="Expected share of false ones among the promoted")
    base_up = models.FloatField(null=True, help_text="Rising minutes among the moving ones of the later part")
    base_down = models.FloatField(null=True)
    detail = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["venue", "market_class", "-id"], name="newest_mining_run")]

    def __str__(self) -> str:
        return f"mining run #{self.pk}"


class Pattern(models.Model):
    """One pattern in one direction on one venue and market class, with its record.

    The figures of the earlier and the later part are those of `run`; once promoted they stay as they were then, and
    what came afterwards is counted in the `live_` columns.
    """

    class Kind(models.TextChoices):
        """Where its name comes from."""

        NAMED = "named", "Named"
        MINED = "mined", "Mined"

    class State(models.TextChoices):
        """A retired pattern never comes back: it had its trial."""

        CANDIDATE = "candidate", "Candidate"
        PROMOTED = "promoted", "Promoted"
        RETIRED = "retired", "Retired"

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT)
    market_class = models.CharField(max_length=20)
    kind = models.CharField(max_length=5, choices=Kind)
    key = models.CharField(max_length=80, help_text="Name of the window, or key in PATTERNS")
    direction = models.SmallIntegerField(help_text="1 up, −1 down")
    descriptor = models.JSONField(default=dict, help_text="Moves, indicator, volume and level of a mined window")
    state = models.CharField(max_length=9, choices=State, default=State.CANDIDATE)
    run = models.ForeignKey(MiningRun, on_delete=models.PROTECT, related_name="patterns")
    early_n = models.PositiveIntegerField()
    early_hits = models.PositiveIntegerField()
    later_n = models.PositiveIntegerField()
    later_hits = models.PositiveIntegerField()
    later_ties = models.PositiveIntegerField(default=0, help_text="Occurrences without a move, not in later_n")
    base_rate = models.FloatField(help_text="Of the direction among moving minutes of the later part")
    p_value = models.FloatField(help_text="Exact one-sided tail in the later part")
    q_value = models.FloatField(help_text="Benjamini-Hochberg over everything the run tried")
    result_bps = models.FloatField(null=True, help_text="Mean in the later part, entered at the next open")
    risk_reward = models.FloatField(null=True, help_text="Mean gain over mean loss in the later part")
    first_seen = models.DateTimeField(null=True, help_text="Market clock")
    last_seen = models.DateTimeField(null=True, help_text="Market clock")
    live_n = models.PositiveIntegerField(default=0, help_text="Occurrences after the promotion, ties left out")
    live_hits = models.PositiveIntegerField(default=0)
    live_result_bps = models.FloatField(null=True)
    promoted_at = models.DateTimeField(null=True, blank=True, help_text="Market clock from which it is watched")
    retired_at = models.DateTimeField(null=True, blank=True, help_text="Market clock")
    reason = models.CharField(max_length=200, blank=True, help_text="Why it was retired")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["venue", "market_class", "key", "direction"], name="pattern_once")
        ]
        indexes = [models.Index(fields=["venue", "state", "p_value"], name="patterns_by_proof")]

    def __str__(self) -> str:
        return f"{self.key} {self.direction:+d}"


class PatternOccurrence(models.Model):
    """A promoted pattern that was seen after its promotion, and what followed: entered at the next candle's open."""

    class Outcome(models.TextChoices):
        """Empty until the next candle is there."""

        OPEN = "", "Not judged yet"
        WON = "won", "Won"
        LOST = "lost", "Lost"
        TIE = "tie", "Tie"
        VOID = "void", "Void"

    pattern = models.ForeignKey(Pattern, on_delete=models.CASCADE, related_name="occurrences", db_index=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, db_index=False)
    close_time = models.DateTimeField(help_text="Close of the candle that made it known")
    counts = models.BooleanField(default=True, help_text="The first of its minute: instruments move together")
    outcome = models.CharField(max_length=4, choices=Outcome, default=Outcome.OPEN, blank=True)
    result_bps = models.FloatField(null=True, help_text="In the pattern's direction")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pattern", "instrument", "close_time"], name="occurrence_once")]
        indexes = [models.Index(fields=["close_time"], condition=models.Q(outcome=""), name="occurrences_open")]
