"""The sentiment agent's minute for 50 instruments, by both readers: `python -m bench.sentiment`.

A minute reads what is new (100 headlines, far more than a minute brings) and adds up the day (2,000) for everybody:
tone, and the word columns of every instrument. One thread. Prints JSON lines; 1 where a gate is missed.
"""

import json
import os
import sys
import time

import numpy as np

from models_ml.agents.sentiment import LexiconReader, Reader, tone
from models_ml.agents.sentiment_linear import LinearReader
from models_ml.features.words import Headlines, build_words
from tests.models_ml.agents.sentences import LABELLED, TEXTS

INSTRUMENTS, NEW, DAY = 50, 100, 2_000
GATE_MS = 500.0
RUNS = 5 if os.environ.get("QUICK") == "1" else 30
AT = 1_700_000_040
FILLERS = ("after the regulator's hearing", "as traders weigh rates", "in early trading in London", "for a third week")


def headlines(run: int) -> list[str]:
    """New headlines of a minute, none of them seen before."""
    return [f"{TEXTS[place % len(TEXTS)]} {FILLERS[place % len(FILLERS)]} {run}-{place}" for place in range(NEW)]


def minute(reader: Reader, day: Headlines, run: int) -> float:
    """Milliseconds of one minute."""
    lines = headlines(run)
    start = time.perf_counter()
    scores = day.scores.copy()
    scores[-NEW:] = reader.scores(lines)
    now = Headlines(day.times, scores, day.about, day.since, day.until)
    tone(scores, day.about)
    build_words(INSTRUMENTS, np.array([AT]), headlines=now)
    return (time.perf_counter() - start) * 1e3


def main() -> int:
    """Measure both readers."""
    rng = np.random.default_rng(1)
    about = rng.random((DAY, INSTRUMENTS)) < 0.2
    times = np.sort(AT - rng.random(DAY) * 86_000)
    day = Headlines(times, rng.uniform(-1, 1, DAY), about, AT - 200_000.0, float(AT))
    missed = False
    for reader in (LexiconReader(), LinearReader().fit(TEXTS, LABELLED)):
        minute(reader, day, -1)
        runs = [minute(reader, day, run) for run in range(RUNS)]
        told = {"n": RUNS, "p95": round(float(np.percentile(runs, 95)), 2), "gate": GATE_MS}
        value = float(np.median(runs))
        print(
            json.dumps({"name": f"sentiment_{reader.key}", "value": round(value, 2), "unit": "ms", **told}), flush=True
        )
        missed |= value > GATE_MS
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
