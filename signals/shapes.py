"""The shapes of the signal floor's REST answers, as the OpenAPI description declares them.

Answers are not made by these classes: facts are encoded directly, once per change (see `answers`). A test holds every
answer against its shape.
"""

from typing import Any

from rest_framework import serializers

from models_ml.agents.regime import STATES
from models_ml.lenses import LENS_KEYS
from models_ml.models import Pattern
from models_ml.voters import SEATS
from models_ml.votes import AbstainReason
from signals.models import Outcome, Round

Shape = serializers.Serializer[Any]
_STATES = [(value, value) for value in Round.State.values]
_RESULTS = [(value, value) for value in Outcome.Result.values]
_REASONS = [(reason.word, reason.word) for reason in AbstainReason]


class InstrumentPart(Shape):
    """An instrument in short."""

    id = serializers.IntegerField()
    symbol = serializers.CharField()
    venue = serializers.CharField()


class Raw(Shape):
    """A voter's raw outputs: they sum to 1 and are probabilities of nothing until calibrated."""

    down = serializers.FloatField()
    neutral = serializers.FloatField()
    up = serializers.FloatField()


class Vote(Shape):
    """One of the nine seats."""

    voter = serializers.ChoiceField(choices=[(seat, seat) for seat in SEATS])
    direction = serializers.IntegerField(allow_null=True, help_text="1 up, −1 down, 0 neutral, null abstained")
    abstained = serializers.ChoiceField(choices=_REASONS, allow_null=True)
    raw = Raw(allow_null=True)
    latency_ms = serializers.FloatField(allow_null=True)
    version = serializers.CharField()


class LensPart(Shape):
    """What one of the five lenses said with the round."""

    lens = serializers.ChoiceField(choices=[(key, key) for key in LENS_KEYS])
    direction = serializers.IntegerField(help_text="1 up, −1 down, 0 neutral")
    reason = serializers.CharField()


class SecondPanelPart(Shape):
    """Five lenses and two language models, shown beside the nine; they decide nothing."""

    strength = serializers.ChoiceField(
        choices=[(word, word) for word in ("strong", "basic", "tie", "none")],
        help_text="strong: more than 4 of 7 agree; basic: more than 3 of the 5 lenses do",
    )
    direction = serializers.IntegerField(help_text="1 up, −1 down, 0 where neither strong nor basic")
    up = serializers.IntegerField()
    down = serializers.IntegerField()
    neutral = serializers.IntegerField()
    abstained = serializers.IntegerField(help_text="Language models that did not answer")
    lens_consensus = serializers.BooleanField()
    full_consensus = serializers.BooleanField()
    tie = serializers.BooleanField(help_text="As many up as down, and at least one of each")
    disagreement = serializers.FloatField(help_text="1 − the larger side's share of those who took a side")
    lenses = LensPart(many=True)


class BandPart(Shape):
    """Between what 80 % of moves end, `minutes` after the round, seen from its close."""

    minutes = serializers.IntegerField()
    low = serializers.FloatField(help_text="Price")
    high = serializers.FloatField(help_text="Price")
    low_bps = serializers.FloatField()
    high_bps = serializers.FloatField()


class OutlookPart(Shape):
    """What the agents said with the round; they have no vote. What they did not say is absent or null, never 0."""

    bands = BandPart(many=True, help_text="At 1, 15 and 60 minutes; none where the agent was silent")
    volatility_ratio = serializers.FloatField(
        allow_null=True, help_text="Forecast deviation of the next hour over the instrument's usual one"
    )
    regime = serializers.ChoiceField(
        choices=[(state, state) for state in STATES], allow_null=True, help_text="null while it is of no proven help"
    )


class Probability(Shape):
    """A calibrated probability with the history behind it; it is withheld while n is under 100."""

    value = serializers.FloatField(allow_null=True, help_text="That `direction` comes true; null while n is under 100")
    n = serializers.IntegerField(help_text="Statements in the same bin that have been judged")
    low = serializers.FloatField(allow_null=True, help_text="95 % interval of how many of them came true")
    high = serializers.FloatField(allow_null=True)
    basis = serializers.CharField(allow_blank=True, help_text="live, or validation while there is too little of it")


class Judgement(Shape):
    """How a signal ended."""

    result = serializers.ChoiceField(choices=_RESULTS)
    at = serializers.IntegerField(help_text="Epoch seconds")
    entry = serializers.FloatField(allow_null=True, help_text="Open of the candle after the decision")
    exit = serializers.FloatField(allow_null=True, help_text="Close of the last candle of the horizon")
    note = serializers.CharField(allow_blank=True)
    superseded = serializers.BooleanField(help_text="A later correction of the candle replaced an earlier judgement")


class SignalPart(Shape):
    """What an issued round says beyond its votes."""

    tier = serializers.IntegerField(allow_null=True)
    entry = serializers.FloatField(allow_null=True)
    stop = serializers.FloatField(allow_null=True)
    target = serializers.FloatField(allow_null=True)
    expected_move_bps = serializers.FloatField(allow_null=True, help_text="After costs")
    actionable = serializers.BooleanField(help_text="The lower bound of its probability clears break-even")
    suggested_risk = serializers.FloatField(allow_null=True, help_text="Share of capital to risk at most, 0 to 0.02")
    suggested_position = serializers.FloatField(allow_null=True, help_text="Share of capital to buy or sell for it")
    risk_note = serializers.CharField(allow_blank=True, help_text="What the size rests on, one sentence")
    expires_at = serializers.IntegerField(help_text="Epoch seconds")
    permalink = serializers.CharField()
    outcome = Judgement(allow_null=True)


class RoundShape(Shape):
    """One scheduled decision, issued or not. Times are epoch seconds UTC."""

    id = serializers.CharField(help_text="A signal's public id, or round-<number>")
    instrument = InstrumentPart()
    close_time = serializers.IntegerField()
    horizon_s = serializers.IntegerField()
    decided_at = serializers.IntegerField(allow_null=True)
    state = serializers.ChoiceField(choices=_STATES)
    reason = serializers.CharField(allow_blank=True)
    direction = serializers.IntegerField(help_text="1 up, −1 down, 0 none")
    quorum = serializers.IntegerField()
    seats = serializers.IntegerField(help_text="Voters in the panel in force")
    votes = Vote(many=True)
    second_panel = SecondPanelPart(allow_null=True, help_text="null for rounds older than the lenses, or missed")
    outlook = OutlookPart(allow_null=True, help_text="null where no agent said anything, or on tainted or late data")
    score = serializers.FloatField(allow_null=True)
    probability = Probability(allow_null=True)
    risk_score = serializers.FloatField(allow_null=True)
    risk_label = serializers.CharField(allow_blank=True)
    vetoes = serializers.ListField(child=serializers.CharField())
    taints = serializers.ListField(child=serializers.CharField())
    signal = SignalPart(allow_null=True)


class RoundPage(Shape):
    """A page of rounds, newest first."""

    delay_s = serializers.IntegerField(help_text="Seconds of market time that your plan holds rounds back")
    last_event_id = serializers.IntegerField(help_text="Read on from here over the WebSocket or /events")
    rounds = RoundShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="Pass as `before` for the next page; null at the end")


class Latest(Shape):
    """The newest signal of an instrument that the caller may see."""

    delay_s = serializers.IntegerField()
    instrument = InstrumentPart()
    signal = RoundShape(allow_null=True)


class Events(Shape):
    """What the live page was told; the frames are those of the WebSocket."""

    events = serializers.ListField(child=serializers.DictField())
    last_event_id = serializers.IntegerField(help_text="Pass as `after` for what comes next")
    more = serializers.BooleanField()


class Feed(Shape):
    """The state of the venue's feed."""

    state = serializers.CharField()
    age_s = serializers.FloatField(allow_null=True, help_text="Since its last message, by the wall clock")
    clock_skew_s = serializers.FloatField(allow_null=True, help_text="The venue's clock minus ours, as far as measured")


class Health(Shape):
    """Whether the platform works."""

    status = serializers.ChoiceField(choices=[("ok", "ok"), ("degraded", "degraded"), ("down", "down")])
    database = serializers.BooleanField()
    redis = serializers.BooleanField(allow_null=True, help_text="null where none is configured")
    feed = Feed(allow_null=True)
    queues = serializers.DictField(child=serializers.IntegerField(), help_text="Tasks that wait, by queue")
    deciding = serializers.BooleanField(help_text="false while minutes that could be decided have no round")


class RoundQuery(Shape):
    """Which rounds."""

    instrument = serializers.CharField(required=False, help_text="Id, or symbol such as BTC-USDT")
    state = serializers.ChoiceField(choices=_STATES, required=False)
    before = serializers.RegexField(r"^\d{1,12}-\d{1,18}$", required=False, help_text="`next` of the page before")
    limit = serializers.IntegerField(min_value=1, max_value=200, default=50)


class MiningPart(Shape):
    """The last search of one market class."""

    market_class = serializers.CharField()
    mined_until = serializers.IntegerField(allow_null=True, help_text="Epoch seconds")
    split_at = serializers.IntegerField(allow_null=True, help_text="Where the part that was searched ends")
    instruments = serializers.IntegerField()
    windows = serializers.IntegerField()
    tried = serializers.IntegerField(help_text="Every hypothesis that was looked at")
    candidates = serializers.IntegerField(help_text="Those tested on later data")
    promoted = serializers.IntegerField(help_text="Those that came through")
    fdr = serializers.FloatField(help_text="Expected share of false ones among them")


class Rate(Shape):
    """How often it was right, with Wilson's 95 % interval; no number without a case."""

    n = serializers.IntegerField()
    rate = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class PatternShape(Shape):
    """One pattern in one direction."""

    id = serializers.IntegerField()
    key = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.ChoiceField(choices=Pattern.Kind.choices)
    state = serializers.ChoiceField(choices=Pattern.State.choices)
    market_class = serializers.CharField()
    direction = serializers.IntegerField(help_text="1 up, −1 down")
    descriptor = serializers.DictField(allow_null=True, help_text="What a mined window is made of")
    searched = Rate(help_text="In the part that was searched: no evidence")
    out_of_sample = Rate(help_text="In the later part: the proof")
    ties = serializers.IntegerField(help_text="Occurrences in the later part without a move, not in its n")
    live = Rate(help_text="After the promotion")
    base_rate = serializers.FloatField()
    p_value = serializers.FloatField()
    q_value = serializers.FloatField(help_text="Benjamini-Hochberg over everything tried")
    tried = serializers.IntegerField(help_text="Hypotheses of the search it comes from")
    result_bps = serializers.FloatField(allow_null=True, help_text="Mean in the later part, entered at the next open")
    risk_reward = serializers.FloatField(allow_null=True, help_text="Mean gain over mean loss")
    last_seen = serializers.DateField(allow_null=True)
    reason = serializers.CharField(allow_blank=True, help_text="Why it was retired")


class PatternPage(Shape):
    """A page of patterns in the order of their ids."""

    runs = MiningPart(many=True)
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Patterns by state")
    graveyard = serializers.IntegerField(help_text="Candidates that did not come through")
    patterns = PatternShape(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="Pass as `after` for the next page; null at the end")


class PatternQuery(Shape):
    """Which patterns."""

    state = serializers.ChoiceField(choices=Pattern.State.choices, default=Pattern.State.PROMOTED)
    kind = serializers.ChoiceField(choices=Pattern.Kind.choices, default="")
    market_class = serializers.CharField(default="", max_length=20)
    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, default=0, help_text="`next` of the page before")
    limit = serializers.IntegerField(min_value=1, max_value=200, default=50)


class PageQuery(Shape):
    """Which page."""

    before = serializers.RegexField(r"^\d{1,12}-\d{1,18}$", required=False, help_text="`next` of the page before")
    limit = serializers.IntegerField(min_value=1, max_value=200, default=50)


class EventQuery(Shape):
    """Which events."""

    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, default=0, help_text="Last event id you have")
    limit = serializers.IntegerField(min_value=1, max_value=200, default=100)
