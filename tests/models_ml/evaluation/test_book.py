"""The three models on books that tell something, and on books that tell nothing."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from models_ml.evaluation import book, book_models
from models_ml.evaluation.book import Parts, measure
from models_ml.evaluation.book_set import BookSet, build, divide
from models_ml.voters.cnn_lstm_book import CHANNELS, BookVoter
from tests.models_ml.evaluation.quotes import told
from tests.models_ml.small import TINY

SMALL = replace(TINY, max_rows=2000, epochs=2, batch=256)


@cache
def parts() -> Parts:
    """Two hours of a told market, cut by time."""
    learn, choose, test = (build(part, ["X"], 2.0) for part in divide([told(120)]))
    return Parts(learn, choose, test, ("X",))


def shuffled(rows: BookSet, seed: int) -> BookSet:
    order = np.random.default_rng(seed).permutation(len(rows))
    return replace(rows, labels=rows.labels[order])


@cache
def report() -> dict[str, Any]:
    return measure(parts(), SMALL, seeds=1)


def test_a_planted_signal_is_found_by_every_model() -> None:
    for name, table in report()["models"].items():
        assert table["next+0s"]["all"]["auc"] > 0.8, name
        assert table["next+0s"]["all"]["ci"][0] > 0.7, name


def test_shuffled_outcomes_score_one_half() -> None:
    whole = parts()
    learn, choose, test = (shuffled(part, seed) for seed, part in enumerate((whole.learn, whole.choose, whole.test)))
    told_nothing = Parts(learn, choose, test, ("X",))
    for name, table in measure(told_nothing, SMALL, seeds=1)["models"].items():
        for target in ("next+0s", "10s+1s", "60s+1s"):
            row = table[target]["all"]
            assert abs(row["acc"] - 0.5) < 2.5 / np.sqrt(row["n"] - row["ties"]), (name, target)


def test_equal_seeds_give_equal_tables() -> None:
    assert measure(parts(), SMALL, seeds=1) == report()


def test_one_more_seed_moves_nothing_but_the_models_with_chance() -> None:
    more = measure(parts(), SMALL, seeds=2, targets=["next"])
    assert set(more["models"]["imbalance"]) == {"next+0s", "next+1s"}
    assert more["models"]["imbalance"]["next+0s"] == report()["models"]["imbalance"]["next+0s"]
    assert more["models"][book.VOTER]["next+0s"]["all"]["auc_sd"] > 0


def test_the_difference_is_that_of_the_tables() -> None:
    models, less = report()["models"], report()["voter_less"]
    for name in ("imbalance", "boosting", "boosting_wide"):
        row = less[name]["10s+1s"]["all"]
        voter, other = (models[key]["10s+1s"]["all"] for key in (book.VOTER, name))
        np.testing.assert_allclose(row["auc"], voter["auc"] - other["auc"], atol=1e-12)
        np.testing.assert_allclose(row["log_loss"], voter["log_loss"] - other["log_loss"], atol=1e-12)


def test_boosting_reads_34_inputs() -> None:
    assert book_models.narrow(parts().test).shape[1] == book_models.INPUTS
    assert book_models.wide(parts().test).shape[1] > book_models.INPUTS


def test_the_test_part_teaches_nothing() -> None:
    """Other outcomes of the test rows leave every score as it was."""
    whole = parts()
    for model in (book_models.imbalance, book_models.boosting, book_models.voter(SMALL)):
        one = model(whole.learn, whole.choose, whole.test, 0)[1]
        two = model(whole.learn, whole.choose, shuffled(whole.test, 5), 0)[1]
        np.testing.assert_array_equal(one, two)


def test_the_voter_is_the_live_net() -> None:
    shape = {"channels": 4, "width": 8, "window": 24, "levels": 1, "reads": CHANNELS}
    assert type(BookVoter(()).build(shape, 2)) is type(book_models._net(SMALL, parts().learn))
