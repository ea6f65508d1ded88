"""What every voter promises, tried on every seat of the registry."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models_ml import artifacts
from models_ml.samples import Samples
from models_ml.voters import LANGUAGE_SEATS, LOCAL_SEATS, LOOKBACK, SEATS, VOTERS, UnknownVoter, voter_class
from models_ml.voters.base import FeatureMismatch, NotEnoughData
from models_ml.voters.language import NoRecordedVote
from models_ml.votes import AbstainReason
from tests.models_ml.small import TINY, fitted, parts
from tests.models_ml.worlds import COLUMNS, world

every_voter = pytest.mark.parametrize("seat", LOCAL_SEATS)


def test_the_panel_order_is_fixed() -> None:
    assert SEATS == ("lstm", "gru", "transformer", "xgb", "random_forest", "cnn", "cnn_lstm_book", "gemini", "grok")
    assert LANGUAGE_SEATS == ("gemini", "grok")
    assert [seat for seat in SEATS if VOTERS[seat].needs_book] == ["cnn_lstm_book"]


@pytest.mark.parametrize("seat", SEATS)
def test_a_seat_leads_to_its_class(seat: str) -> None:
    found = voter_class(seat)
    assert found.key == seat
    assert VOTERS[seat].title
    assert 0 < VOTERS[seat].lookback <= LOOKBACK


def test_an_unknown_seat_is_named_with_the_choices() -> None:
    with pytest.raises(UnknownVoter, match=r"'svm'.*lstm"):
        voter_class("svm")


def test_the_registry_loads_nothing_heavy() -> None:
    code = (
        "import sys, models_ml.voters, models_ml.panel, models_ml.fitting, models_ml.artifacts;"
        "heavy = 'torch', 'xgboost', 'sklearn', 'skops', 'openai', 'google.genai', 'httpx2', 'pydantic';"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@every_voter
def test_votes_are_probabilities(seat: str) -> None:
    votes = fitted(seat).predict(parts()[2])
    assert votes.shape == (len(parts()[2]), 3)
    assert np.isfinite(votes).all()
    np.testing.assert_allclose(votes.sum(axis=1), 1.0, atol=1e-9)
    assert (votes >= 0).all()


@every_voter
def test_a_loaded_voter_is_the_saved_one(seat: str, tmp_path: Path) -> None:
    voter, later = fitted(seat), parts()[2]
    voter.save(tmp_path)
    again = voter_class(seat).load(tmp_path)
    np.testing.assert_array_equal(again.predict(later), voter.predict(later))
    assert again.columns == COLUMNS
    assert {path.suffix for path in tmp_path.iterdir()} <= artifacts.SUFFIXES


@every_voter
def test_a_fit_is_repeated_by_its_seed(seat: str) -> None:
    train, validation, later = parts()
    again = voter_class(seat)(COLUMNS)
    again.fit(train, validation, TINY, seed=0)
    np.testing.assert_array_equal(again.predict(later), fitted(seat).predict(later))


@every_voter
def test_another_seed_is_another_model(seat: str) -> None:
    later = parts()[2]
    assert not np.array_equal(fitted(seat, 1).predict(later), fitted(seat).predict(later))


@every_voter
def test_inputs_are_left_alone(seat: str) -> None:
    train, validation, later = (frozen(part) for part in parts())
    voter = voter_class(seat)(COLUMNS)
    voter.fit(train, validation, replace(TINY, epochs=1))
    voter.predict(later)


@every_voter
def test_a_batch_answers_like_each_row_alone(seat: str) -> None:
    later = parts()[2]
    voter, some = fitted(seat), later.pick(np.arange(0, len(later), 29))
    alone = np.concatenate([voter.predict(some.pick(np.array([row]))) for row in range(len(some))])
    np.testing.assert_allclose(voter.predict(some), alone, atol=1e-5)


@every_voter
def test_no_rows_no_votes(seat: str) -> None:
    later = parts()[2]
    assert fitted(seat).predict(later.pick(np.zeros(0, dtype=np.int64))).shape == (0, 3)


@every_voter
def test_an_unknown_row_is_an_abstention_and_leaves_the_others_alone(seat: str) -> None:
    later = parts()[2]
    voter, row = fitted(seat), 150
    blind = blinded(later, *later.index[row])
    asked = later.pick(np.array([row, row - 100]))
    after = voter.predict(replace(asked, ohlcv=blind.ohlcv, features=blind.features, books=blind.books))
    assert np.isnan(after[0]).all()
    np.testing.assert_allclose(after[1], voter.predict(asked)[1], atol=1e-9)


@every_voter
def test_nothing_after_the_decision_is_read(seat: str) -> None:
    later = parts()[2]
    row = later.pick(np.array([40, 250]))
    last = int(row.index[:, 1].max())
    noise = np.random.default_rng(9)
    ohlcv, features = row.ohlcv.copy(), row.features.copy()
    ohlcv[:, last + 1 :] *= np.exp(noise.normal(0, 0.1, ohlcv[:, last + 1 :].shape))
    features[:, last + 1 :] = noise.normal(size=features[:, last + 1 :].shape)
    assert row.books is not None
    sizes = row.books.sizes.copy()
    sizes[row.books.times > row.open_times[last] + 60] *= 7
    changed = replace(row, ohlcv=ohlcv, features=features, books=replace(row.books, sizes=sizes))
    np.testing.assert_array_equal(fitted(seat).predict(changed), fitted(seat).predict(row))


@every_voter
def test_the_stated_look_back_is_enough(seat: str) -> None:
    """Candles older than the seat's look-back change nothing: live loads a window, training a history."""
    later = parts()[2].pick(np.array([194, 389]))
    first = int(later.index[:, 1].min()) + 1 - VOTERS[seat].lookback
    assert first > 0
    short = replace(
        later,
        open_times=later.open_times[first:],
        ohlcv=later.ohlcv[:, first:],
        features=later.features[:, first:],
        index=later.index - np.array([0, first]),
    )
    np.testing.assert_allclose(fitted(seat).predict(short), fitted(seat).predict(later), atol=1e-6)


@every_voter
def test_a_new_instrument_gets_a_vote(seat: str) -> None:
    later = parts()[2].pick(np.array([10]))
    stranger = replace(later, market=np.array([4000, 5000]))
    assert np.isfinite(fitted(seat).predict(stranger)).all()


@every_voter
def test_other_feature_columns_are_refused(seat: str, tmp_path: Path) -> None:
    later = parts()[2]
    with pytest.raises(FeatureMismatch, match=seat):
        fitted(seat).predict(replace(later, features=later.features[:, :, :-1]))
    sha = artifacts.write(fitted(seat), tmp_path / "model", features_hash="columns in order")
    with pytest.raises(artifacts.WrongFeatures, match="train"):
        artifacts.read(tmp_path / "model", seat, sha, "columns in another order")


@every_voter
def test_too_little_data_is_said(seat: str) -> None:
    few = world(instruments=1, minutes=60, with_books=True)
    with pytest.raises(NotEnoughData, match=seat):
        voter_class(seat)(COLUMNS).fit(few, few, TINY)


@every_voter
def test_what_it_reads_and_what_mattered_are_columns_of_its_own(seat: str) -> None:
    voter = fitted(seat)
    reads, weights = voter.reads(), voter.importances(parts()[2])
    assert len(set(reads.tolist())) == len(reads)
    assert all(0 <= place < len(voter.columns) for place in reads)
    assert set(weights) <= {voter.columns[place] for place in reads} | {"instrument"}
    assert sum(weights.values()) <= 1 + 1e-6
    assert list(weights.values()) == sorted(weights.values(), reverse=True)
    assert bool(weights) == (seat == "xgb")


@every_voter
def test_progress_ends_at_or_before_its_total(seat: str) -> None:
    train, validation, _ = parts()
    steps: list[tuple[int, int]] = []
    voter_class(seat)(COLUMNS).fit(
        train, validation, replace(TINY, epochs=1), on_step=lambda done, total: steps.append((done, total))
    )
    assert steps
    assert all(0 < done <= total for done, total in steps)
    assert steps == sorted(steps)


@pytest.mark.parametrize("seat", LANGUAGE_SEATS)
def test_a_language_seat_is_neither_trained_nor_backtested(seat: str) -> None:
    voter = voter_class(seat)(COLUMNS)
    assert voter.silence is AbstainReason.NO_KEY
    with pytest.raises(NoRecordedVote, match=f"{seat}.*leave it out"):
        voter.predict(parts()[2])
    with pytest.raises(NotEnoughData, match=seat):
        voter.fit(*parts()[:2], TINY)


def frozen(samples: Samples) -> Samples:
    """The same samples in arrays that raise when written to."""

    def lock(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array.flags.writeable = False
        return array

    books = samples.books
    assert books is not None
    return Samples(
        lock(samples.open_times),
        lock(samples.ohlcv),
        lock(samples.features),
        lock(samples.market),
        lock(samples.index),
        replace(
            books, times=lock(books.times), mid=lock(books.mid), levels=lock(books.levels), sizes=lock(books.sizes)
        ),
    )


def blinded(samples: Samples, instrument: int, minute: int) -> Samples:
    """The same samples without what is known of one instrument's minute."""
    ohlcv, features = samples.ohlcv.copy(), samples.features.copy()
    ohlcv[instrument, minute] = np.nan
    features[instrument, minute] = np.nan
    books = samples.books
    assert books is not None
    times = books.times.copy()
    opened = samples.open_times[minute]
    times[instrument, (times[instrument] > opened - 300) & (times[instrument] <= opened + 60)] = np.nan
    return replace(samples, ohlcv=ohlcv, features=features, books=replace(books, times=times))
