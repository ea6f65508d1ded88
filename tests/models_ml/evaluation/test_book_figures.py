"""Intervals and differences against plain loops."""

import numpy as np
import pytest

from models_ml.evaluation.book_figures import BLOCK_S, Blocks, Cell, interval
from models_ml.validation.metrics import auc

RNG = np.random.default_rng(0)
TIMES = np.sort(RNG.uniform(0, 20 * BLOCK_S, 600))
LABELS = RNG.choice([0, 1, 2, -1], 600, p=[0.4, 0.1, 0.4, 0.1]).astype(np.int8)
SCORE = np.round(0.3 * (LABELS - 1) + RNG.normal(0, 1, 600), 1)  # with ties
FROZEN = ({"20": 0.9, "5": 1.7},)


def cell(score: np.ndarray = SCORE) -> Cell:
    return Cell(score[None], LABELS, Blocks.of(TIMES, draws=50), FROZEN)


def test_the_area_of_a_draw_is_that_of_its_rows() -> None:
    blocks = Blocks.of(TIMES, draws=20, seed=3).pick(LABELS != 1)
    score, up = SCORE[LABELS != 1], LABELS[LABELS != 1] == 2
    for draw, area in zip(blocks.counts, blocks.auc(score, up), strict=True):
        rows = np.repeat(np.arange(len(up)), draw[blocks.place].astype(np.int64))
        assert area == pytest.approx(auc(score[rows], up[rows]))


def test_the_mean_of_a_draw_is_that_of_its_rows() -> None:
    blocks = Blocks.of(TIMES, draws=20, seed=3)
    for draw, mean in zip(blocks.counts, blocks.mean(SCORE), strict=True):
        assert mean == pytest.approx(np.repeat(SCORE, draw[blocks.place].astype(np.int64)).mean())


def test_a_draw_has_as_many_blocks_as_there_are() -> None:
    assert (Blocks.of(TIMES, draws=50).counts.sum(axis=1) == 20).all()


def test_a_model_less_itself_is_nothing() -> None:
    assert cell().less(cell()) == {
        "n": int(np.isin(LABELS, [0, 2]).sum()),
        "auc": 0.0,
        "auc_ci": [0.0, 0.0],
        "log_loss": 0.0,
        "log_loss_ci": [0.0, 0.0],
    }


def test_more_noise_is_worse_beyond_its_interval() -> None:
    better, worse = cell((LABELS - 1) + RNG.normal(0, 1, 600)), cell(RNG.normal(0, 1, 600))
    found = better.less(worse)
    assert found["auc_ci"][0] > 0  # type: ignore[index]  # an interval
    assert found["log_loss_ci"][1] < 0  # type: ignore[index]  # an interval


def test_figures_by_hand() -> None:
    found = cell().figures()
    moved = np.isin(LABELS, [0, 2])
    up, said = LABELS[moved] == 2, SCORE[moved]
    assert found["n"] == (LABELS >= 0).sum()
    assert found["ties"] == (LABELS == 1).sum()
    assert found["acc"] == pytest.approx(((said > 0) == up).mean())
    assert found["acc_ties_lost"] == pytest.approx(((said > 0) == up).sum() / (LABELS >= 0).sum())
    assert found["auc"] == pytest.approx(auc(said, up))
    assert found["auc_sd"] is None
    assert found["log_loss"] == pytest.approx(np.log1p(np.exp(np.where(up, -said, said))).mean())
    assert found["cov20"] == pytest.approx((np.abs(said) >= 0.9).mean())
    assert found["acc5"] == pytest.approx(((said > 0) == up)[np.abs(said) >= 1.7].mean())


def test_seeds_are_averaged_after_the_figure() -> None:
    other = RNG.normal(0, 1, 600)
    both = Cell(np.stack([SCORE, other]), LABELS, Blocks.of(TIMES, draws=50), FROZEN * 2).figures()
    one, two = cell().figures(), cell(other).figures()
    for name in ("auc", "log_loss", "acc", "ece"):
        assert both[name] == pytest.approx((one[name] + two[name]) / 2)  # type: ignore[operator]  # both are floats


def test_no_figure_of_nothing() -> None:
    still = np.ones(600, dtype=np.int8)
    empty = Cell(SCORE[None], still, Blocks.of(TIMES, draws=5), FROZEN)
    assert empty.figures() == {"n": 600, "ties": 600}
    assert empty.less(empty) == {"n": 0}


def test_an_interval_is_the_middle() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx([25.0, 975.0])
