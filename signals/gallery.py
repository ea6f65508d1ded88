"""Every widget in each of its ten states, on made-up facts. A page for eyes and tests; never on a public server."""

from dataclasses import replace
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from models_ml.lenses import LENSES, second_panel
from models_ml.voters import VOTERS
from signals.cards import card_of
from signals.charts import GROUPS, PATTERN_TOGGLE, TIMEFRAMES
from signals.facts import Judgement, LensFacts, RoundFacts, Track, VoteFacts
from signals.outlook import outlook_of

AT: Final = 1_700_000_040
STATES: Final[dict[str, str]] = {
    "loading": "Loading",
    "empty": "Nothing yet: the first round is decided when the running minute closes.",
    "live": "",
    "reconnecting": "Reconnecting: values as of 22:14:00",
    "stale": "Stale since 22:14:00: nothing new",
    "locked": "Your plan does not include this. Pro does.",
    "closed": "Market closed until Sunday 22:00 UTC.",
    "degraded": "Two voters are missing: LSTM is untrained, Transformer did not answer in time.",
    "error": "This could not be loaded. Reload the page to try again.",
    "expired": "Expired: the horizon has ended and the outcome is known.",
}
"""State → what its note says."""
WIDGETS: Final = ("card", "detail", "votes", "instruments", "latest", "feeds", "chart")


def _votes(abstaining: tuple[int, ...] = (7, 8)) -> tuple[VoteFacts, ...]:
    votes = []
    for seat, (key, spec) in enumerate(VOTERS.items()):
        if seat in abstaining:
            votes.append(VoteFacts(key, spec.title, abstained="no_key" if spec.llm else "untrained"))
            continue
        up = 0.49 + 0.02 * seat
        votes.append(
            VoteFacts(key, spec.title, 0.97 - up, 0.03, up, 1 if up > 0.5 else -1, None, 4 + seat, "v12", 9_000)
        )
    return tuple(votes)


LENS_FACTS: Final = tuple(
    LensFacts(key, spec.title, direction, reason)
    for (key, spec), (direction, reason) in zip(
        LENSES.items(),
        (
            (1, "Highs and lows rise and price broke a swing high with the trend."),
            (1, "Price stands +1.4 σ from the hour's mean while moves tend to persist (lag 1: +0.12, Hurst 0.61)."),
            (0, "No headline is known."),
            (1, "6 of 9 indicators point up: EMA 20, EMA 50, MACD, RSI, Supertrend and Ichimoku."),
            (1, "Momentum over 5 to 60 minutes is +0.9 σ and volume changes by +18 %."),
        ),
        strict=True,
    )
)


def example() -> RoundFacts:
    """A made-up issued round."""
    return RoundFacts(
        public_id="00000000-0000-4000-8000-000000000001",
        instrument_id=1,
        symbol="BTC/USDT",
        venue="Gallery",
        market_class="crypto",
        close_time=AT,
        horizon_s=60,
        state="issued",
        quorum=6,
        seats=9,
        votes=_votes(),
        lenses=LENS_FACTS,
        panel=second_panel.count([lens.direction for lens in LENS_FACTS], [None, None]),
        direction=1,
        score=0.76,
        probability=0.58,
        track=Track(1240, 0.57, 0.54, 0.60, 0.55, 0.60, "validation"),
        tier=2,
        entry=61_204.5,
        stop=61_163.2,
        target=61_287.1,
        tick_size=0.1,
        risk_score=0.32,
        risk_label="LOW",
        risk_parts=(("volatility", 0.41), ("range", 0.22), ("quality", 0.0), ("model_age", 0.18)),
        expected_move_bps=1.4,
        outlook=outlook_of(
            {
                "bands": {"1": [-0.0004, 0.0004], "15": [-0.0016, 0.0015], "60": [-0.0033, 0.0032]},
                "variance": {"60": 2.2e-7},
                "usual": 1.2e-7,
                "regime": {"trending": 0.61, "ranging": 0.3, "volatile": 0.09},
            },
            61_204.5,
        ),
        actionable=True,
        suggested_risk=0.0007,
        suggested_position=1.0,
        risk_note="Risk at most 0.07% of your capital up to the stop: a position of 100% of it.",
        permalink="/signals/00000000-0000-4000-8000-000000000001/",
    )


def facts_in(state: str) -> RoundFacts:
    """The example as the state has it."""
    base = example()
    if state == "degraded":
        return replace(base, votes=_votes((0, 2, 7, 8)), state="silent", direction=0, permalink="", tier=None)
    if state == "expired":
        return replace(base, outcome=Judgement("won", AT + 60, 61_204.6, 61_231.0))
    return base


def _panel(state: str, note: str) -> dict[str, Any]:
    card = card_of(facts_in(state), AT + 18)
    row = {**card, "price": "61,231.0", "decimals": 1, "as_of": AT}
    return {
        "state": state,
        "note": note,
        "card": card,
        "items": [row],
        "recent": [card],
        "suffix": f"-{state}",
        "labelled": f" {state}-",
    }


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """All widgets in all states; `?widget=` and `?state=` narrow it down."""
    widget, state = request.GET.get("widget"), request.GET.get("state")
    frames = [{"name": name, "current": name == "1m", "href": f"/?timeframe={name}"} for name in TIMEFRAMES]
    chart = {
        "symbol": "BTC/USDT",
        "timeframes": frames,
        "toggles": (*GROUPS, PATTERN_TOGGLE),
        "limit": 0,
        "summary": "240 candles of 1m.",
    }
    feeds = [{"key": "gallery", "name": "Gallery", "state": "live", "since": AT, "attrs": {"state": "live"}}]
    context = {
        "widgets": [name for name in WIDGETS if widget in {None, name}],
        "panels": [_panel(name, note) for name, note in STATES.items() if state in {None, name}],
        "chart": chart,
        "feeds": feeds,
        "limit": 150,
    }
    return render(request, "signals/gallery.html", context)
