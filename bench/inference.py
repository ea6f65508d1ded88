"""The seven local voters at `standard` sizes: one batched call each over 50 and 500 instruments, one thread.

Each voter's figure is the best and the median of several calls; their sum is what one core needs for a minute. The
panel asks two voters at a time, so two cores need about half of it, which is measured as the panel's own figure.
Weights are those of one short epoch (see `bench.panel`), because speed does not depend on them.
"""

import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from functools import partial

import numpy as np  # threads are set before the libraries that read them

from bench.panel import live_samples, voters
from bench.rig import QUICK, report
from models_ml.panel import PanelRunner

SIZES = {50: 200.0, 500: 1200.0}
"""Instruments → milliseconds the panel may take."""
REPEATS = 3 if QUICK else 15


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Best and median milliseconds, after a first call that counts for nothing."""
    work()
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1e3)
    return min(took), float(np.median(took))


def main() -> int:
    """Measure both sizes; 1 when the panel missed its goal."""
    panel, met = voters(), True
    for instruments, goal in SIZES.items():
        samples, total = live_samples(instruments), 0.0
        for seat, voter in panel.items():
            answer = voter.predict(samples)
            assert np.isfinite(answer).all(), f"{seat} abstained"
            best, median = timed(partial(voter.predict, samples))
            total += best
            report("inference", voter=seat, instruments=instruments, best_ms=round(best, 2), median_ms=round(median, 2))
        report("inference, sum of seven on one thread", instruments=instruments, best_ms=round(total, 1))
        calls = {seat: voter.predict for seat, voter in panel.items()}
        patience = dict.fromkeys(panel, 60.0)  # what is measured is the work, not where a deadline cuts it off
        best, median = timed(lambda: PanelRunner().ask(samples, calls, patience, 60.0))  # noqa: B023  # called at once
        passed = best <= goal
        met &= passed
        report(
            "inference, the panel of seven", instruments=instruments, best_ms=round(best, 1),
            median_ms=round(median, 1), gate_ms=goal, passed=passed,
        )  # fmt: skip
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
