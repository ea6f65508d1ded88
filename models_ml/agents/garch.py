"""GARCH(1,1) with Student's t, and a small network that adjusts it: the contender of the HAR forecast.

Returns are in percent. The network reads twenty inputs (20 → 32 → 16 → 1, tanh) and scales the GARCH deviation by
1 ± 0.5 at most; a deviation is never under 0.0001 percent.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray
from models_ml.agents.base import TooLittleHistory

PERCENT = 100.0
MOST_RETURNS = 40_000
"""The newest returns that a fit reads: a month of minutes fixes three parameters well enough."""
LEAST_RETURNS = 500
LEAST_DEVIATION = 1e-4
REACH = 0.5
WIDTHS = (20, 32, 16, 1)
EPOCHS, BATCH, RATE = 8, 512, 3e-3
FILE = "garch_net.safetensors"


@dataclass(frozen=True, slots=True)
class Garch:
    """σ²(t+1) = omega + alpha r²(t) + beta σ²(t), returns in percent, `mean` their mean, `freedom` of Student's t."""

    mean: float
    omega: float
    alpha: float
    beta: float
    freedom: float

    @classmethod
    def fit(cls, returns: FloatArray) -> Self:
        """By maximum likelihood (arch) on log returns (T,), NaN left out; raises `TooLittleHistory`."""
        from arch import arch_model  # seconds to import, and only an evaluation needs it

        known = returns[np.isfinite(returns)][-MOST_RETURNS:] * PERCENT
        if len(known) < LEAST_RETURNS or not known.std() > 0:
            raise TooLittleHistory(f"{len(known)} returns are too few for a GARCH fit: load more candles")
        scale = float(known.std())  # the optimiser wants returns near 1
        model = arch_model(known / scale, mean="Constant", vol="GARCH", p=1, q=1, dist="t", rescale=False)
        found = model.fit(disp="off", show_warning=False).params
        mean, omega, alpha, beta, freedom = (
            float(found[name]) for name in ("mu", "omega", "alpha[1]", "beta[1]", "nu")
        )
        return cls(mean * scale, omega * scale**2, alpha, beta, freedom)

    @property
    def persistence(self) -> float:
        """Sum of alpha and beta, under 1 by a hair at least."""
        return min(self.alpha + self.beta, 1 - 1e-6)

    @property
    def level(self) -> float:
        """Variance in the long run."""
        return self.omega / (1 - self.persistence)

    def next_variance(self, returns: FloatArray) -> FloatArray:
        """Variance (T,) forecast for the minute after each row; an unknown return leaves the forecast as it was."""
        news = (returns * PERCENT - self.mean) ** 2
        out = np.empty(len(returns))
        variance = self.level
        for row, shock in enumerate(news.tolist()):
            variance = self.omega + self.alpha * (shock if shock == shock else variance) + self.beta * variance
            out[row] = variance
        return out

    def mean_variance(self, next_variance: FloatArray, horizon: int) -> FloatArray:
        """Mean variance a minute over the next `horizon` minutes, as a log return's (no longer in percent)."""
        share = (1 - self.persistence**horizon) / (horizon * (1 - self.persistence))
        return np.asarray((self.level + (next_variance - self.level) * share) / PERCENT**2)


class GarchNet:
    """The network of the adjustment, kept as plain arrays: inputs are standardised, forecasts need no torch."""

    def __init__(self, weights: dict[str, FloatArray]) -> None:
        """`weights`: `mean`, `scale` (20,), and `w0`, `b0`, … of each layer."""
        self.weights = weights

    @classmethod
    def fit(cls, x: NDArray[np.float32], ratio: FloatArray, *, seed: int = 0) -> Self:
        """Make QLIKE small; `x` (N, 20) inputs, `ratio` (N,) what came over the GARCH variance."""
        import torch  # seconds to import, and only training needs it

        torch.manual_seed(seed)
        mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
        inputs = torch.tensor((x - mean) / scale, dtype=torch.float32)
        came = torch.tensor(ratio, dtype=torch.float32)
        layers = [torch.nn.Linear(a, b) for a, b in pairwise(WIDTHS)]
        steps = torch.optim.Adam([p for layer in layers for p in layer.parameters()], lr=RATE)
        draw = torch.Generator().manual_seed(seed)
        for _ in range(EPOCHS):
            order = torch.randperm(len(inputs), generator=draw)
            for first in range(0, len(inputs), BATCH):
                rows = order[first : first + BATCH]
                h = inputs[rows]
                for layer in layers:
                    h = torch.tanh(layer(h))
                said = 2 * torch.log1p(REACH * h[:, 0])
                loss = (came[rows] * torch.exp(-said) + said).mean()
                steps.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
                steps.step()
        found = {"mean": np.asarray(mean, np.float64), "scale": np.asarray(scale, np.float64)}
        for place, layer in enumerate(layers):
            found[f"w{place}"] = layer.weight.detach().numpy().astype(np.float64)
            found[f"b{place}"] = layer.bias.detach().numpy().astype(np.float64)
        return cls(found)

    def adjust(self, variance: FloatArray, x: NDArray[np.float32]) -> FloatArray:
        """Variance (N,) of log returns, adjusted; `x` (N, 20)."""
        h = (x - self.weights["mean"]) / self.weights["scale"]
        for place in range(len(WIDTHS) - 1):
            h = np.tanh(h @ self.weights[f"w{place}"].T + self.weights[f"b{place}"])
        deviation = np.sqrt(variance) * PERCENT * (1 + REACH * h[:, 0])
        return np.asarray((np.maximum(deviation, LEAST_DEVIATION) / PERCENT) ** 2)

    def save(self, folder: Path) -> None:
        """One safetensors file."""
        from safetensors.numpy import save_file

        save_file({name: np.ascontiguousarray(part) for name, part in self.weights.items()}, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it again."""
        from safetensors.numpy import load_file

        return cls(load_file(folder / FILE))
