"""Volatility forecasts against each other on recorded candles, by the protocol of docs/evaluation.md. Pure.

The loss is QLIKE, y/f − log(y/f) − 1 of realised variance y and forecast f (Patton 2011): it ranks forecasts alike
whether y is exact or noisy. Every forecast is scored on the same rows, every fifth minute of the test part; windows of
neighbours overlap, so intervals come from drawing whole days.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from markets.values import FloatArray, IntArray
from models_ml.agents.base import History
from models_ml.agents.garch import WIDTHS, Garch, GarchNet
from models_ml.agents.har import har_daily, har_inputs
from models_ml.agents.profile import DayProfile
from models_ml.agents.realised import FLOOR, MINUTE_S, Tape, target
from models_ml.agents.volatility_forecast import HORIZONS, Design, fit_rows, qlike, rows_of

DAY_S = 86_400
DRAWS = 2000
GROWTH = 1.05
"""The pooled model is fitted anew whenever the minutes learned from have grown by this factor, at most once a day."""
BAR = "har"

Forecasts = dict[str, FloatArray]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scored:
    """One instrument at one horizon.

    `loss` maps a forecast to its mean QLIKE, `ratio` to that over the bar's with the 95 % interval of the paired ratio,
    `log_error` to the mean squared error of the logarithm; `floored` counts variances under the least told apart.
    """

    instrument: str
    horizon: int
    n: int
    days: int
    floored: int
    loss: dict[str, float]
    ratio: dict[str, tuple[float, float | None, float | None]]
    log_error: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "instrument": self.instrument,
            "horizon_minutes": self.horizon,
            "n": self.n,
            "days": self.days,
            "floored": self.floored,
            "qlike": self.loss,
            "ratio_to_har": self.ratio,
            "log_mse": self.log_error,
        }


@dataclass(frozen=True, slots=True)
class Order:
    """What to evaluate.

    `start` is the first decision of the test part, epoch seconds; `scored` the instruments judged, all by default.
    """

    start: int
    scored: Sequence[int] = ()
    horizons: Sequence[int] = HORIZONS
    seeds: Sequence[int] = (0,)
    extra: Sequence[str] = ("garch", "garch_net")
    say: Say = field(default=lambda _: None)


def evaluate(names: Sequence[str], history: History, order: Order) -> Iterator[Scored]:
    """Scores of the instruments `names` (I,) of `history`, horizon by horizon."""
    tape = Tape(history)
    chosen = rows_of(history.open_times)
    scored = list(order.scored) or list(range(len(names)))
    for horizon in order.horizons:
        order.say(f"{horizon} minutes: inputs of {len(names)} instruments")
        work = _Horizon(history, tape, chosen, horizon, order)
        for place in scored:
            yield _score(names[place], horizon, work.forecasts(place), work.came(place), work.decided)


class _Horizon:
    """Everything that the instruments share at one horizon."""

    def __init__(self, history: History, tape: Tape, chosen: IntArray, horizon: int, order: Order) -> None:
        self.history, self.tape, self.chosen, self.horizon, self.order = history, tape, chosen, horizon, order
        self.some = tape.at(chosen)
        self.design = Design.of(self.some, horizon)
        self.decided = history.open_times[chosen] + MINUTE_S
        self.day = self.some.day
        self.y = target(tape, horizon)[:, chosen]
        self.learn_end = int(np.searchsorted(self.decided + horizon * MINUTE_S, order.start, side="right"))
        self.x, self.pooled = self._pooled()
        self.garch: dict[int, FloatArray] = {}
        self.nets: list[GarchNet] | None = None

    def came(self, place: int) -> tuple[FloatArray, FloatArray]:
        """What came (N,), and the least that is told apart."""
        return self.y[place], FLOOR * self.day[place]

    def forecasts(self, place: int) -> Forecasts:
        """Every forecast of one instrument, (N,), NaN where it has none."""
        order = self.order
        order.say(f"{self.horizon} minutes: instrument {place + 1}")
        x = har_inputs(self.some, place, self.history.zone)
        out = {BAR: har_daily(x, self.y[place], self.decided - MINUTE_S, self.horizon, order.start)}
        out["forecast"] = self.pooled[place]
        if "garch" in order.extra:
            out["garch"] = self._rescaled(place, self._garch(place))
        if "garch_net" in order.extra:
            for seed, net in zip(order.seeds, self._nets(), strict=True):
                adjusted = net.adjust(self._garch(place), self._net_inputs(place))
                out[f"garch_net_{seed}"] = self._rescaled(place, adjusted)
        return out

    def _pooled(self) -> tuple[Any, FloatArray]:
        """Inputs with the first profile, and the pooled model's forecasts (I, N) from `start` on."""
        out = np.full(self.y.shape, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.log(self.y / self.day)
        first: Any = None
        revealed = self.decided + self.horizon * MINUTE_S
        for now, until in refits(self.decided, self.order.start):
            x = self._inputs_at(now)
            first = x if first is None else first
            past = revealed <= now
            model = fit_rows(x[:, past], u[:, past])
            today = (self.decided >= now) & (self.decided < until)
            out[:, today] = self.day[:, today] * np.exp(model(x[:, today]))
            self.order.say(f"{self.horizon} minutes: fitted for {np.datetime64(now, 's')}")
        return first, out

    def _inputs_at(self, now: int) -> Any:  # noqa: ANN401  # float32 (I, N, K)
        """Inputs whose profile was learned from the minutes known at `now`."""
        known = int(np.searchsorted(self.history.open_times + MINUTE_S, now, side="right"))
        part = self.history.until(known)
        profile = DayProfile.fit(self.tape.until(known), part.market, part.zone)
        return self.design.with_profile(profile, part.market, self.horizon)

    def _garch(self, place: int) -> FloatArray:
        """GARCH variance (N,) with parameters of the training part."""
        if place not in self.garch:
            returns = self.tape.series["return"][place]
            before = self.history.open_times + MINUTE_S <= self.order.start
            model = Garch.fit(returns[before])
            self.garch[place] = model.mean_variance(model.next_variance(returns), self.horizon)[self.chosen]
        return self.garch[place]

    def _nets(self) -> list[GarchNet]:
        """One network a seed, fitted on the training part of the judged instruments together."""
        if self.nets is None:
            places = list(self.order.scored) or list(range(len(self.y)))
            x = np.concatenate([self._net_inputs(place)[: self.learn_end] for place in places])
            ratio = np.concatenate([(self.y[place] / self._garch(place))[: self.learn_end] for place in places])
            known = np.isfinite(ratio)
            self.nets = [GarchNet.fit(x[known], ratio[known], seed=seed) for seed in self.order.seeds]
        return self.nets

    def _net_inputs(self, place: int) -> Any:  # noqa: ANN401  # float32 (N, 20)
        """The profile's four inputs and the first sixteen."""
        x = self.x[place]
        return np.concatenate([x[:, -4:], x[:, : WIDTHS[0] - 4]], axis=1)

    def _rescaled(self, place: int, said: FloatArray) -> FloatArray:
        """Each day's forecasts times the mean ratio revealed before it, as the bar's are."""
        revealed, out = self.decided + self.horizon * MINUTE_S, np.full(len(said), np.nan)
        ratio = self.y[place] / said
        known = np.isfinite(ratio)
        for day in np.unique(self.decided[self.decided >= self.order.start] // DAY_S):
            now = max(int(day) * DAY_S, self.order.start)
            today = (self.decided >= now) & (self.decided // DAY_S == day)
            out[today] = said[today] * ratio[known & (revealed <= now)].mean()
        return out


def refits(decided: IntArray, start: int) -> Iterator[tuple[int, int]]:
    """(from, until) of each fit: at `start`, then at the first midnight after the past has grown by `GROWTH`."""
    now, end = start, int(decided[-1]) + 1
    while now < end:
        grown = int(decided[0] + (now - decided[0]) * GROWTH)
        until = min(-(-max(grown, now + 1) // DAY_S) * DAY_S, end)
        yield now, until
        now = until


def _score(name: str, horizon: int, said: Forecasts, came: tuple[FloatArray, FloatArray], decided: IntArray) -> Scored:
    y, floor = came
    use = np.isfinite(y) & np.all([np.isfinite(f) for f in said.values()], axis=0)
    days = decided[use] // DAY_S
    losses = {key: qlike(y[use], f[use]) for key, f in said.items()}
    return Scored(
        instrument=name,
        horizon=horizon,
        n=int(use.sum()),
        days=len(np.unique(days)),
        floored=int((y[use] <= floor[use]).sum()),
        loss={key: float(loss.mean()) for key, loss in losses.items()},
        ratio={key: ratio_interval(loss, losses[BAR], days) for key, loss in losses.items()},
        log_error={key: float(np.mean(np.log(y[use] / f[use]) ** 2)) for key, f in said.items()},
    )


def ratio_interval(
    mine: FloatArray, bars: FloatArray, days: IntArray, *, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float | None, float | None]:
    """Ratio of mean losses and its 95 % interval by drawing whole days, both losses together; none under two days."""
    found, place = np.unique(days, return_inverse=True)
    ratio = float(mine.mean() / bars.mean())
    if len(found) < 2:
        return ratio, None, None
    tops, bottoms = np.bincount(place, weights=mine), np.bincount(place, weights=bars)
    drawn = np.random.default_rng(seed).integers(0, len(found), (draws, len(found)))
    low, high = np.quantile(tops[drawn].sum(axis=1) / bottoms[drawn].sum(axis=1), [0.025, 0.975])
    return ratio, float(low), float(high)
