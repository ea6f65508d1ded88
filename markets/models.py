"""Rows of what happened: venues, instruments, candles, books, feeds. Shared by everybody, owned by no organization."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Venue(models.Model):
    """Where candles come from. A replay is a run with a venue row of its own, so that nothing is ever mixed."""

    class Kind(models.TextChoices):
        """What a page must say about this market."""

        LIVE = "live", "Live"
        SIMULATED = "simulated", "Simulated"
        REPLAY = "replay", "Replay"

    key = models.CharField(max_length=80, unique=True)
    adapter = models.CharField(max_length=40, help_text="Key in markets.venues.VENUES")
    title = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=Kind)
    capabilities = models.JSONField(default=list)
    terms_url = models.URLField(blank=True)
    licence = models.TextField(blank=True)
    redistribution = models.TextField(blank=True)
    limits = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.key


class Run(models.Model):
    """One stretch of a feed over one venue; the newest open one is the market that pages show."""

    class State(models.TextChoices):
        """Where the run stands."""

        LOADING = "loading", "Loading history"
        RUNNING = "running", "Running"
        ENDED = "ended", "Ended"

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT)
    state = models.CharField(max_length=10, choices=State, default=State.LOADING)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    speed = models.FloatField(default=1.0, help_text="Candle minutes a minute that were asked for")
    speed_reached = models.FloatField(null=True, blank=True)
    market_at = models.DateTimeField(
        null=True, blank=True, help_text="Market clock of a recording; empty on live markets"
    )
    market_end = models.DateTimeField(null=True, blank=True)
    beat_at = models.DateTimeField(null=True, blank=True, help_text="Wall clock of the feed's last sign of life")
    background = models.BooleanField(default=False, help_text="A replay for its figures: pages never show it")

    class Meta:
        indexes = [models.Index(fields=["-started_at"])]

    def __str__(self) -> str:
        return f"{self.venue} since {self.started_at:%Y-%m-%d %H:%M}"


class Instrument(models.Model):
    """What is traded on one venue."""

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT, related_name="instruments")
    raw_symbol = models.CharField(max_length=80, help_text="The venue's own string")
    symbol = models.CharField(max_length=40)
    base = models.CharField(max_length=20)
    quote = models.CharField(max_length=20)
    market_class = models.CharField(max_length=20, help_text="crypto, forex, index, metal, binary")
    tick_size = models.FloatField(default=0.01)
    calendar = models.CharField(max_length=20, default="always")
    followed = models.BooleanField(default=False, help_text="Fed, decided and shown")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["venue", "raw_symbol"], name="instrument_once_per_venue")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.symbol}@{self.venue.key}"


class Activation(models.Model):
    """From `at` on, the instrument is due (or no longer due) at every minute of its calendar. Append-only."""

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="activations")
    horizon_s = models.PositiveIntegerField(default=60)
    at = models.DateTimeField(help_text="Market clock; the first close time this row speaks of")
    active = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instrument", "horizon_s", "at"], name="activation_once")]


class Candle(models.Model):
    """One closed 1-minute candle, stored once. Higher timeframes are aggregated from these."""

    pk = models.CompositePrimaryKey("instrument_id", "open_time")
    instrument = models.ForeignKey(Instrument, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    open_time = models.DateTimeField()
    open = models.FloatField()
    high = models.FloatField()
    low = models.FloatField()
    close = models.FloatField()
    volume = models.FloatField()
    observed_at = models.DateTimeField(help_text="When we received it")
    source = models.SmallIntegerField(help_text="markets.candles.Source")
    flags = models.SmallIntegerField(default=0, help_text="markets.values.TaintFlag")

    class Meta:
        indexes = []


class CandleRevision(models.Model):
    """A candle as it stood before the venue corrected it. Append-only."""

    instrument = models.ForeignKey(Instrument, on_delete=models.DO_NOTHING, db_constraint=False)
    open_time = models.DateTimeField()
    open = models.FloatField()
    high = models.FloatField()
    low = models.FloatField()
    close = models.FloatField()
    volume = models.FloatField()
    observed_at = models.DateTimeField(help_text="When the replaced values were received")
    replaced_at = models.DateTimeField(help_text="When the correction was received")
    source = models.SmallIntegerField(
        default=0, db_default=0, help_text="markets.candles.Source of the replaced values"
    )
    flags = models.SmallIntegerField(
        default=0, db_default=0, help_text="markets.values.TaintFlag of the replaced values"
    )

    class Meta:
        indexes = [models.Index(fields=["instrument", "open_time"])]


class Refusal(models.Model):
    """How many candles of an instrument were refused on a day, by reason, with the last one as it came."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE)
    day = models.DateField()
    reason = models.CharField(max_length=30)
    count = models.PositiveIntegerField(default=0)
    sample = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instrument", "day", "reason"], name="refusal_once_a_day")]


class BookSnapshot(models.Model):
    """The book of one instrument over one minute: S snapshots packed as little-endian arrays."""

    pk = models.CompositePrimaryKey("instrument_id", "minute")
    instrument = models.ForeignKey(Instrument, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    minute = models.DateTimeField()
    tick_size = models.FloatField()
    offsets_ms = models.BinaryField(help_text="int32 (S,): milliseconds after the minute's start")
    mids = models.BinaryField(help_text="float64 (S,)")
    levels = models.BinaryField(help_text="int32 (S, 2, 20): half ticks away from the mid; int32 minimum = absent")
    sizes = models.BinaryField(help_text="float32 (S, 2, 20)")

    @property
    def at(self) -> datetime:
        """The start of the minute."""
        return self.minute


class TradeFlow(models.Model):
    """Public trades of one instrument over one minute, folded into 60 seconds."""

    pk = models.CompositePrimaryKey("instrument_id", "minute")
    instrument = models.ForeignKey(Instrument, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    minute = models.DateTimeField()
    buy = models.BinaryField(help_text="float32 (60,): bought volume")
    sell = models.BinaryField(help_text="float32 (60,): sold volume")
    count = models.BinaryField(help_text="int32 (60,)")
    largest = models.BinaryField(help_text="float32 (60,)")


class DerivativeStat(models.Model):
    """Funding rate or open interest at an instant, where the venue has them."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE)
    kind = models.CharField(max_length=20, choices=[("funding", "Funding rate"), ("open_interest", "Open interest")])
    at = models.DateTimeField()
    value = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instrument", "kind", "at"], name="derivative_stat_once")]


class FeedState(models.Model):
    """Whether a venue's feed, or one instrument of it, is live; the venue's own row has no instrument."""

    class State(models.TextChoices):
        """What a page says."""

        LIVE = "live", "Live"
        DELAYED = "delayed", "Delayed"
        DOWN = "down", "Down"

    venue = models.ForeignKey(Venue, on_delete=models.CASCADE)
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, null=True, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.DOWN)
    since = models.DateTimeField()
    last_message_at = models.DateTimeField(null=True, blank=True)
    reconnects = models.PositiveIntegerField(default=0)
    skew_s = models.FloatField(null=True, blank=True, help_text="Venue clock minus ours")
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["venue", "instrument"], name="feed_state_once", nulls_distinct=False)
        ]


class DayQuality(models.Model):
    """Due candles of a day, and how many were on time and untainted."""

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE)
    day = models.DateField()
    due = models.PositiveIntegerField()
    good = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instrument", "day"], name="quality_once_a_day")]

    @property
    def score(self) -> float | None:
        """Share of good candles, None where nothing was due."""
        return self.good / self.due if self.due else None


class WordFeed(models.Model):
    """An address on the net that an operator named: headlines, events or an index are polled from it."""

    name = models.CharField(max_length=80, unique=True, help_text="Stored as the source of what it brings")
    adapter = models.CharField(max_length=20, help_text="Key in markets.intelligence.FEEDS")
    url = models.URLField(max_length=500)
    options = models.JSONField(default=dict, blank=True, help_text="The adapter's own; docs/words.md")
    every_s = models.PositiveIntegerField(default=300, help_text="Seconds between two polls, 60 at least")
    enabled = models.BooleanField(default=True)
    etag = models.CharField(max_length=300, blank=True)
    modified = models.CharField(max_length=100, blank=True)
    polled_at = models.DateTimeField(null=True, blank=True)
    ok_at = models.DateTimeField(null=True, blank=True, help_text="Last answer that could be read")
    failures = models.PositiveIntegerField(default=0, help_text="In a row")
    detail = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return self.name


class Headline(models.Model):
    """One line of news. It is known from `observed_at` on, whatever `published_at` says."""

    key = models.CharField(max_length=64, unique=True, help_text="sha256 of source and address, or of source and title")
    source = models.CharField(max_length=80)
    url = models.CharField(max_length=500, blank=True)
    title = models.CharField(max_length=300)
    language = models.CharField(max_length=20, blank=True)
    subjects = ArrayField(models.CharField(max_length=20), default=list, help_text="Assets it speaks of")
    published_at = models.DateTimeField(help_text="As its source says")
    observed_at = models.DateTimeField(help_text="When we received it")

    class Meta:
        indexes = [models.Index(fields=["observed_at"])]

    def __str__(self) -> str:
        return self.title


class CalendarEvent(models.Model):
    """A scheduled event of the economy. It counts from `observed_at` on."""

    class Impact(models.IntegerChoices):
        """How much it moves prices, as its calendar says."""

        LOW = 1, "Low"
        MEDIUM = 2, "Medium"
        HIGH = 3, "High"

    source = models.CharField(max_length=80)
    key = models.CharField(max_length=64, help_text="The calendar's own id, or sha256 of time, currency and title")
    time = models.DateTimeField()
    currency = models.CharField(max_length=20, help_text="USD, EUR, … or ALL")
    impact = models.PositiveSmallIntegerField(choices=Impact)
    title = models.CharField(max_length=200)
    observed_at = models.DateTimeField(help_text="When we learned of it")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="calendar_event_once")]
        indexes = [models.Index(fields=["time"])]

    def __str__(self) -> str:
        return f"{self.currency} {self.title}"


class SentimentIndex(models.Model):
    """One day's value of an index of mood, such as Fear & Greed."""

    key = models.CharField(max_length=40)
    day = models.DateField()
    value = models.FloatField()
    known_at = models.DateTimeField(help_text="When it was published")
    observed_at = models.DateTimeField(help_text="When we received it")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "day"], name="sentiment_index_once_a_day")]

    def __str__(self) -> str:
        return f"{self.key} {self.day}"
