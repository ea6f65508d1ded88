"""Facts of a round as a reader may know them: plain values between the rows and the words. Pure."""

from dataclasses import dataclass

from models_ml.lenses.second_panel import SecondPanel
from signals.outlook import OutlookFacts


@dataclass(frozen=True, slots=True)
class VoteFacts:
    """One seat's answer. Probabilities are the voter's raw output, None where it abstained."""

    voter: str
    title: str
    p_down: float | None = None
    p_neutral: float | None = None
    p_up: float | None = None
    direction: int | None = None
    abstained: str | None = None  # an AbstainReason's word
    latency_ms: float | None = None
    version: str = ""
    age_s: float | None = None  # of its model, at the decision


@dataclass(frozen=True, slots=True)
class LensFacts:
    """What one of the five lenses said with the round."""

    lens: str
    title: str
    direction: int
    reason: str


@dataclass(frozen=True, slots=True)
class Track:
    """What came of earlier statements in the same bin: the history behind one probability."""

    n: int
    rate: float
    low: float  # 95 % interval of `rate`
    high: float
    bin_low: float
    bin_high: float
    source: str  # "live" or "validation"


@dataclass(frozen=True, slots=True)
class Judgement:
    """How an issued round ended. Prices are those of the evidence candle; `at` is epoch seconds."""

    result: str  # won, lost, tie, void
    at: int
    open: float | None = None
    close: float | None = None
    note: str = ""
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class RoundFacts:
    """Everything a reader may know of one round. Times are epoch seconds UTC, prices in quote currency."""

    public_id: str
    instrument_id: int
    symbol: str
    venue: str
    market_class: str
    close_time: int
    horizon_s: int
    state: str  # issued, silent, vetoed, tainted, late, missed
    quorum: int
    seats: int
    votes: tuple[VoteFacts, ...] = ()
    lenses: tuple[LensFacts, ...] = ()
    panel: SecondPanel | None = None  # five lenses and two language models, None where no lens looked
    reason: str = ""
    direction: int = 0
    score: float | None = None
    probability: float | None = None
    track: Track | None = None
    tier: int | None = None
    entry: float | None = None
    stop: float | None = None
    target: float | None = None
    tick_size: float | None = None
    risk_score: float | None = None
    risk_label: str = ""
    risk_parts: tuple[tuple[str, float], ...] = ()
    vetoes: tuple[str, ...] = ()
    taints: tuple[str, ...] = ()
    expected_move_bps: float | None = None
    actionable: bool = False
    suggested_risk: float | None = None
    suggested_position: float | None = None
    risk_note: str = ""
    outlook: OutlookFacts | None = None  # None where no agent said anything, and on data that is not to be trusted
    decided_at: int | None = None
    outcome: Judgement | None = None
    permalink: str = ""

    @property
    def expires_at(self) -> int:
        """The instant the horizon ends."""
        return self.close_time + self.horizon_s

    def count(self, direction: int) -> int:
        """Votes cast for `direction`."""
        return sum(vote.direction == direction for vote in self.votes)

    @property
    def agreeing(self) -> int:
        """Votes on the side most voters took; neutral is no side."""
        return max(self.count(1), self.count(-1))
