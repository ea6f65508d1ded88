"""The one loop: it learns, stops in time, starts at the base rates and sees half of the world upside down."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models_ml.profiles import PROFILES, UnknownProfile, profile_of
from models_ml.samples import Samples
from models_ml.validation.metrics import rise_given_move
from models_ml.voters.book_net import BookNet
from models_ml.voters.gru import Gru, GruVoter
from models_ml.voters.linear import Linear
from models_ml.voters.nets import LeanNet
from models_ml.voters.sequences import CHANNELS, CONTEXT, OTHERS
from models_ml.voters.steps import Average, pace
from models_ml.voters.torch_loop import _half_mirrored
from tests.models_ml.small import TINY
from tests.models_ml.worlds import COLUMNS, candle_walk, world


def reverting(minutes: int = 3000) -> Samples:
    """Every minute tends to take back the one before: what a sequence net can find."""
    samples = world(instruments=2, minutes=minutes)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1e-3, (2, minutes))
    body = noise.copy()
    for minute in range(1, minutes):
        body[:, minute] = noise[:, minute] - 0.8 * body[:, minute - 1]
    candles = candle_walk(rng, 2, minutes, drift=body)
    return replace(samples, ohlcv=candles)


def test_a_net_finds_reversal() -> None:
    samples = reverting()
    minute = samples.index[:, 1]
    voter = GruVoter(COLUMNS)
    profile = replace(TINY, max_rows=4000, epochs=6, batch=128, learning_rate=5e-3)
    report = voter.fit(samples.pick(minute < 2200), samples.pick((minute > 2210) & (minute < 2600)), profile)
    later = samples.pick(minute > 2610)
    labels = later.labels()
    votes = voter.predict(later)
    hits = (votes[:, 2] > votes[:, 0]) == (labels == 2)
    assert hits[labels >= 0].mean() > 0.58
    assert report.validation_loss < np.log(2)


def test_it_stops_when_validation_no_longer_gains() -> None:
    samples = world(instruments=1, minutes=900)
    minute = samples.index[:, 1]
    profile = replace(TINY, epochs=30, patience=1, learning_rate=2e-2)
    report = GruVoter(COLUMNS).fit(samples.pick(minute < 600), samples.pick(minute >= 610), profile)
    assert report.steps < 30


def test_training_leaves_the_callers_random_state_alone() -> None:
    samples = world(instruments=1, minutes=400)
    minute = samples.index[:, 1]
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    GruVoter(COLUMNS).fit(samples.pick(minute < 300), samples.pick(minute >= 310), replace(TINY, epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_a_new_net_says_the_base_rates() -> None:
    net, labels, tie = Gru(8, 1, 10, 2), np.array([0] * 30 + [1] * 10 + [2] * 60, dtype=np.int8), 11 / 103
    net.set_prior(labels)
    said = net(torch.randn(4, 10, CHANNELS + OTHERS), torch.randn(4, CONTEXT), torch.zeros(4, dtype=torch.int64))
    expected = np.tile([(1 - tie) / 2, tie, (1 - tie) / 2], (4, 1))
    np.testing.assert_allclose(torch.softmax(said, dim=1).detach().numpy(), expected, rtol=1e-5)
    book = BookNet(4, 8, 2, levels=1, horizons=1)
    book.set_prior(labels)
    np.testing.assert_allclose(torch.softmax(book.head.bias, dim=0).detach().numpy(), expected[0], rtol=1e-5)


def test_a_net_starts_as_its_line() -> None:
    samples = reverting(1200)
    minute = samples.index[:, 1]
    voter = GruVoter(COLUMNS)
    voter.fit(samples.pick(minute < 800), samples.pick(minute >= 810), replace(TINY, epochs=0))
    later = samples.pick(minute >= 810)
    view = voter.view(later)
    numbers = torch.zeros(len(later), dtype=torch.int64)
    inputs = [torch.from_numpy(part) for part in view.read(np.arange(len(later)))[0]]
    net = voter.net
    assert isinstance(net, LeanNet)
    with torch.inference_mode():
        straight = net.straight(*inputs, numbers)
        line = Linear(*(part.numpy().astype(np.float64) for part in (net.centre, net.scale, net.line)))
        np.testing.assert_allclose(net.lean(*inputs, numbers), line.answer(straight.numpy()).sum(axis=1), atol=1e-5)
    labels = later.labels()
    votes = voter.predict(later)
    assert (((votes[:, 2] > votes[:, 0]) == (labels == 2))[labels >= 0]).mean() > 0.6, "a line finds plain reversal"


def test_a_net_that_learned_nothing_beyond_its_line_is_not_asked() -> None:
    net, inputs = Gru(8, 1, 10, 2), (torch.randn(4, 10, CHANNELS + OTHERS), torch.randn(4, CONTEXT))
    net.set_prior(np.array([0, 1, 2, 2], dtype=np.int8))
    net.eval()
    asked = []
    net.memory.register_forward_hook(lambda *seen: asked.append(seen))
    numbers = torch.zeros(4, dtype=torch.int64)
    with torch.inference_mode():
        silent = net(*inputs, numbers)
        assert not asked
        net.train()
        torch.testing.assert_close(net(*inputs, numbers), silent)
        net.eval()
        net.head.weight[0].fill_(1.0)
        assert not torch.equal(net(*inputs, numbers), silent)
    assert len(asked) == 2


def test_noise_leaves_a_net_at_its_start() -> None:
    """Held-out rows of a random walk gain nothing by an epoch, whatever one of them happens to say."""
    samples = world(instruments=2, minutes=1200)
    minute = samples.index[:, 1]
    kept = []
    for seed in range(3):
        voter = GruVoter(COLUMNS)
        voter.fit(samples.pick(minute < 800), samples.pick(minute >= 810), replace(TINY, epochs=3), seed=seed)
        kept.append(bool(voter.net.head.weight.any()))
    assert sum(kept) <= 1


def test_a_line_follows_later_days_while_the_net_stays() -> None:
    samples = reverting(1200)
    minute = samples.index[:, 1]
    voter = GruVoter(COLUMNS)
    voter.fit(samples.pick(minute < 600), samples.pick((minute >= 610) & (minute < 800)), replace(TINY, epochs=1))
    before = {name: part.clone() for name, part in voter.net.state_dict().items()}
    voter.renew(samples.pick(minute < 900), samples.pick((minute >= 910) & (minute < 1100)))
    after = voter.net.state_dict()
    changed = {name for name, part in before.items() if not torch.equal(part, after[name])}
    assert changed == {"centre", "scale", "line"}


def test_an_update_draws_the_line_anew_and_leaves_the_net() -> None:
    samples = reverting(1200)
    minute = samples.index[:, 1]
    small = replace(TINY, epochs=1)
    voter, anew = GruVoter(COLUMNS), GruVoter(COLUMNS)
    voter.fit(samples.pick(minute < 500), samples.pick((minute >= 510) & (minute < 700)), small)
    before = {name: part.clone() for name, part in voter.net.state_dict().items()}
    newest, held, later = samples.pick(minute < 900), samples.pick((minute >= 910) & (minute < 1050)), minute >= 1060
    steps: list[tuple[int, int]] = []
    report = voter.update(newest, held, small, on_step=lambda *step: steps.append(step))
    changed = {name for name, part in voter.net.state_dict().items() if not torch.equal(part, before[name])}
    assert changed == {"centre", "scale", "line", "slope"}
    assert (report.steps, steps) == (0, [(1, 1)])
    assert report.rows > 500
    anew.fit(newest, held, replace(small, epochs=0))
    assert not before["head.weight"].any(), "so that both are their lines"
    up, fresh = (rise_given_move(one.predict(samples.pick(later))) for one in (voter, anew))
    np.testing.assert_allclose(up, fresh, atol=1e-6)


def test_an_update_to_other_sizes_is_a_fit() -> None:
    samples = reverting(900)
    minute = samples.index[:, 1]
    rows = samples.pick(minute < 600), samples.pick(minute >= 610)
    voter, anew = GruVoter(COLUMNS), GruVoter(COLUMNS)
    voter.fit(*rows, replace(TINY, epochs=1))
    wider = replace(TINY, epochs=1, gru_width=24)
    voter.update(*rows, wider, seed=3)
    anew.fit(*rows, wider, seed=3)
    assert all(torch.equal(part, anew.net.state_dict()[name]) for name, part in voter.net.state_dict().items())


def test_what_is_kept_is_the_average_of_the_weights() -> None:
    net = torch.nn.Linear(1, 1, bias=False)
    average = Average(net)
    for step in range(1, 4001):
        with torch.no_grad():
            net.weight.fill_(1.0 if step % 2 else 3.0)
        average.take(net)
    assert average.weights["weight"].item() == pytest.approx(2.0, abs=0.02)


def test_the_learning_rate_rises_and_falls() -> None:
    paces = [pace(step, 1000) for step in range(1001)]
    assert paces[0] < 0.05
    assert max(paces) > 0.98
    assert np.argmax(paces) < 60
    assert paces[-1] == pytest.approx(0, abs=1e-9)


def test_every_other_row_is_learned_upside_down() -> None:
    samples = world(instruments=1, minutes=100)
    view = GruVoter(COLUMNS)
    view.shape = {"window": 10}
    seen = view.view(samples)
    inputs, _ = seen.read(np.array([50, 51, 52, 53]))
    goal = np.arange(8.0).reshape(4, 2)
    mixed, outcomes, aims = _half_mirrored(seen, inputs, np.array([0, 0, 1, 2], dtype=np.int8), goal)
    np.testing.assert_array_equal(aims, goal * [[1], [-1], [1], [-1]])
    assert outcomes.tolist() == [0, 2, 1, 0]
    np.testing.assert_array_equal(mixed[0][[0, 2]], inputs[0][[0, 2]])
    np.testing.assert_array_equal(mixed[0][[1, 3], :, 0], -inputs[0][[1, 3], :, 0])
    np.testing.assert_array_equal(mixed[1], inputs[1])


def test_standard_has_the_promised_sizes() -> None:
    sizes = profile_of("standard")
    assert (sizes.lstm_layers, sizes.lstm_width) == (3, 256)
    assert (sizes.gru_layers, sizes.gru_width) == (2, 128)
    assert (sizes.xgb_trees, sizes.xgb_depth, sizes.forest_trees) == (500, 8, 200)


def test_an_unknown_profile_is_named_with_the_choices() -> None:
    with pytest.raises(UnknownProfile, match="quick, standard, full"):
        profile_of("huge")
    assert set(PROFILES) == {"quick", "standard", "full"}
