"""What is learned from: moves in σ, the part that the others share, and nothing where the next minute is unknown."""

from dataclasses import replace

import numpy as np
import pytest

from markets.values import FloatArray
from models_ml.samples import Samples
from models_ml.targets import CLIP, even_weights, targets
from tests.models_ml.worlds import candle_walk, world


def shared_world(minutes: int = 900) -> tuple[Samples, FloatArray]:
    """Four instruments that move together for the larger part, and the common move of each minute."""
    rng = np.random.default_rng(5)
    common = rng.normal(0, 2e-3, minutes)
    samples = world(instruments=4, minutes=minutes)
    return replace(samples, ohlcv=candle_walk(rng, 4, minutes, drift=np.tile(common, (4, 1)))), common


def test_the_sign_is_that_of_the_label_where_nobody_shares() -> None:
    samples = world(instruments=2, minutes=600)
    found, labels = targets(samples), samples.labels()
    known = np.isfinite(found.own)
    assert (found.shared == 0).all()
    np.testing.assert_array_equal(np.sign(found.own[known]), labels[known].astype(int) - 1)
    assert not known[samples.index[:, 1] < 48].any(), "no yardstick yet"
    assert not known[samples.index[:, 1] == 599].any(), "no next minute yet"
    assert np.abs(found.own[known]).max() == CLIP


def test_a_move_is_measured_in_the_volatility_before_it() -> None:
    samples = world(instruments=1, minutes=300)
    row = 200
    close, opened = samples.ohlcv[0, :, 3], samples.ohlcv[0, :, 0]
    returns = np.diff(np.log(close[row - 60 : row + 1]))
    expected = np.log(close[row + 1] / opened[row + 1]) / np.sqrt(np.mean(returns**2))
    assert targets(samples).own[row] == pytest.approx(np.clip(expected, -CLIP, CLIP))


def test_what_all_share_is_taken_out() -> None:
    samples, common = shared_world()
    found = targets(samples.pick(samples.index[:, 1] >= 400))
    minute = np.tile(np.arange(400, 900), 4)
    use = np.isfinite(found.own) & (minute < 899)
    after = common[np.minimum(minute + 1, 899)]
    assert np.corrcoef(found.shared[use], after[use])[0, 1] > 0.8
    assert abs(np.corrcoef(found.own[use], after[use])[0, 1]) < 0.25


def test_a_dollar_that_stands_on_the_other_side_shares_the_other_way() -> None:
    samples, _ = shared_world()
    turned = samples.ohlcv.copy()
    turned[0] = turned[0][:, [0, 2, 1, 3, 4]]
    turned[0, :, :4] = 1 / turned[0, :, :4]
    over = targets(replace(samples, ohlcv=turned, dollar=np.array([1.0, -1.0, -1.0, -1.0])))
    plain = targets(replace(samples, dollar=np.array([-1.0, -1.0, -1.0, -1.0])))
    own = samples.index[:, 0] == 0
    np.testing.assert_allclose(over.shared[own], -plain.shared[own], atol=1e-9)
    np.testing.assert_allclose(over.shared[~own], plain.shared[~own], atol=1e-9)


def test_a_closed_session_is_no_minute() -> None:
    samples = world(instruments=1, minutes=300)
    times = samples.open_times.copy()
    times[201:] += 3600
    assert np.isnan(targets(replace(samples, open_times=times)).own[200])


@pytest.mark.parametrize("up", [[True, False, False, False], [True, True, True], [False], []])
def test_rises_and_falls_weigh_the_same(up: list[bool]) -> None:
    rose = np.array(up, dtype=bool)
    weights = even_weights(rose)
    assert weights.shape == rose.shape
    assert np.isfinite(weights).all()
    if rose.any() and not rose.all():
        assert weights[rose].sum() == pytest.approx(weights[~rose].sum())
        assert weights.mean() == pytest.approx(1.0)
