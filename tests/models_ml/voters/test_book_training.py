"""The line first, the trunk after it, and no trust without later rows that earn it."""

from dataclasses import replace

import numpy as np
import torch

from models_ml.features.book_frames import INKS, PATH, SUMMARIES, Tensors, mirrored
from models_ml.voters.book_net import BookNet
from models_ml.voters.book_training import RIDGES, TRUSTS, Lesson, Pace, learn, logits, repeat

PACE = Pace(epochs=2, patience=2, batch=128, learning_rate=1e-3, rows=1000)


def lesson(rows: int = 1500, seed: int = 0, strength: float = 1.5) -> Lesson:
    """Random books whose imbalance tells the outcome of the first horizon, and weaker that of the second."""
    rng = np.random.default_rng(seed)
    heat = rng.random((rows, INKS, 6, 1)).astype(np.float32)
    path = rng.normal(size=(rows, 6, len(PATH))).astype(np.float32)
    sums = rng.normal(size=(rows, len(SUMMARIES))).astype(np.float32)
    lean = strength * sums[:, :1] * np.array([1.0, 0.5])
    up = rng.random((rows, 2)) < 1 / (1 + np.exp(-lean))
    labels = np.where(rng.random((rows, 2)) < 0.2, 1, 2 * up).astype(np.int8)

    def read(chosen: np.ndarray) -> Tensors:
        return heat[chosen], path[chosen], sums[chosen]

    return Lesson(read, labels, rng.integers(1, 3, rows), (None, 0))


def fresh(seed: int = 0) -> BookNet:
    torch.manual_seed(seed)
    return BookNet(4, 8, 3, 1, 2)


def test_the_line_is_the_logistic_of_the_imbalance() -> None:
    net = fresh()
    learn(net, lesson(6000), lesson(1500, seed=1), PACE)
    weights = (net.line / net.scale).detach().numpy()
    assert abs(weights[0, 0] - 1.5) < 0.2
    assert abs(weights[1, 0] - 0.75) < 0.2
    assert np.abs(weights[:, 1:]).max() < 0.15


def test_choices_are_made_from_the_lists() -> None:
    found = learn(fresh(), lesson(), lesson(500, seed=1), PACE).choices
    assert set(found.ridge) <= set(RIDGES)
    assert set(found.trust) <= set(TRUSTS)
    assert 1 <= found.epochs <= PACE.epochs


def test_later_rows_that_tell_nothing_earn_no_trust() -> None:
    """The trunk learned from outcomes that later come the other way round: it is not heard."""
    first = lesson()
    against = replace(lesson(800, seed=1), labels=(2 - lesson(800, seed=1).labels).astype(np.int8))
    net = fresh()
    found = learn(net, first, against, replace(PACE, epochs=6, learning_rate=1e-2))
    assert found.choices.ridge == (max(RIDGES),) * 2
    assert min(found.choices.trust) < 1.0


def test_up_is_exactly_down_of_the_mirror() -> None:
    net, rows = fresh(), lesson(300)
    learn(net, rows, lesson(300, seed=1), PACE)
    with torch.no_grad():
        net.trust.fill_(1.0)
    turned = replace(rows, read=lambda chosen: mirrored(rows.read(chosen)))
    np.testing.assert_allclose(logits(net, rows), logits(net, turned)[..., ::-1], atol=1e-5)


def test_repeating_with_the_choices_gives_the_same_net() -> None:
    """The same rows, the same seed, as many epochs: weights do not depend on the rows that chose."""
    pace = replace(PACE, patience=5)
    one = fresh()
    torch.manual_seed(1)
    found = learn(one, lesson(), lesson(500, seed=1), pace).choices
    two = fresh()
    torch.manual_seed(1)
    repeat(two, lesson(), found, pace)
    np.testing.assert_allclose(logits(one, lesson()), logits(two, lesson()), atol=1e-6)


def test_unknown_outcomes_are_left_out() -> None:
    rows = lesson()
    hidden = rows.labels.copy()
    hidden[::2] = -1
    net = fresh()
    learn(net, replace(rows, labels=hidden), lesson(500, seed=1), PACE)
    assert np.isfinite(logits(net, rows)).all()
