"""What single sentences of market news say; every sentence here was made up for these tests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml.agents import lexicon
from models_ml.agents.polarity import FIGURES, NEUTRAL, bases, figures, label_of, polarity

GOOD = [
    "Profit rose sharply in the spring quarter",
    "Sales of the unit grew by 8 %",
    "The bank cuts costs",
    "Unemployment fell to its lowest level in years",
    "Net loss narrowed in the second half",
    "The carrier beat expectations and raised its guidance",
    "Operating profit was EUR 13.1 mn, compared to EUR 8.7 mn a year earlier",
    "Net loss of EUR 2 mn against a loss of EUR 9 mn",
    "Bitcoin surges past its record high",
    "Earnings were up 12 % from the year before",
    "Regulator drops lawsuit, token jumps",
]
BAD = [
    "Profit fell sharply in the spring quarter",
    "The bank cuts its forecast",
    "Costs rose faster than planned",
    "The group slipped to a net loss",
    "Exchange hacked, customers lose millions",
    "Turnover was $ 5.2 million versus $ 6.1 million",
    "The firm issued a profit warning",
    "Margin was 8.3 %, compared to 11.8 % before",
    "A profit of 3 million turned: operating loss of EUR 1 mn compared to a profit of EUR 3 mn",
    "Sales were down from 40 million euros",
    "Unemployment rose",
]
NOTHING = [
    "The annual general meeting will be held in Turku",
    "The company makes machines for forestry",
    "Currency conversions are those of the day of the deal",
    "The order covers 130 shops",
    "",
    "Das Unternehmen liefert Maschinen",
]


@pytest.mark.parametrize("text", GOOD)
def test_good_news(text: str) -> None:
    assert polarity(text).label == "positive", polarity(text)


@pytest.mark.parametrize("text", BAD)
def test_bad_news(text: str) -> None:
    assert polarity(text).label == "negative", polarity(text)


@pytest.mark.parametrize("text", NOTHING)
def test_no_news(text: str) -> None:
    assert polarity(text).label == "neutral", polarity(text)


@pytest.mark.parametrize(
    ("plain", "turned"),
    [("The launch is a success", "The launch is not a success"), ("A strong quarter", "Not a strong quarter")],
)
def test_a_negation_turns_what_follows(plain: str, turned: str) -> None:
    assert polarity(plain).score > 0 > polarity(turned).score
    assert abs(polarity(turned).score) < polarity(plain).score


def test_adverbs_stretch_and_shrink() -> None:
    sharply, plain, slightly = (polarity(f"Demand {word} fell").score for word in ("sharply", "", "slightly"))
    assert sharply < plain < slightly < 0


def test_what_moves_decides_what_a_direction_means() -> None:
    assert polarity("It reduces debt").score > 0 > polarity("It reduces its dividend").score
    assert polarity("Inflation rises").score < 0 < polarity("Revenue rises").score


def test_words_that_only_look_like_directions_say_nothing() -> None:
    for text in ("The firm set up an office", "More than 30 countries", "An agreement of up to 4 years"):
        assert polarity(text).moved == 0, text


def test_a_full_stop_parts_what_moves_from_the_direction() -> None:
    assert polarity("The board met on costs. Later it rose.").moved == pytest.approx(0.7)


def test_the_end_of_a_move_into_a_loss_is_bad_and_a_smaller_loss_is_good() -> None:
    assert polarity("It swung to a loss, or slipped to a pretax loss").moved < 0
    assert polarity("The loss narrowed to 3 million").moved > 0


@pytest.mark.parametrize(
    ("word", "base"),
    [("rose", "rise"), ("losses", "loss"), ("companies", "company"), ("dropped", "drop"), ("widening", "widen"),
     ("declines", "decline"), ("tripled", "triple"), ("investor's", "investor")],
)  # fmt: skip
def test_words_come_back_to_their_base_forms(word: str, base: str) -> None:
    assert base in bases(word)


def test_a_word_is_not_cut_into_another() -> None:
    assert bases("goods") == ("goods",)
    assert "win" not in bases("wind")
    assert "ban" not in bases("band")


def test_the_lexicon_is_consistent() -> None:
    assert lexicon.WORDS > 700
    assert not lexicon.UP & lexicon.DOWN
    assert not lexicon.GOOD & lexicon.BAD
    assert all(0 < abs(weight) <= 3 for weight in [*lexicon.POLARITY.values(), *lexicon.PHRASES.values()])
    assert all(word == word.lower() for word in [*lexicon.POLARITY, *lexicon.UP, *lexicon.DOWN])


def test_figures_are_the_parts_and_none_is_below_zero() -> None:
    found = dict(
        zip(FIGURES, figures("Profit rose to EUR 5 mn from EUR 4 mn, but the fraud is a disaster"), strict=True)
    )
    assert found["moved_up"] > 0
    assert found["compared_up"] == 1
    assert found["bad"] > 0
    assert found["says_positive"] + found["says_negative"] + found["says_neutral"] == 1
    assert all(value >= 0 for value in found.values())


@given(st.text(max_size=300))
def test_any_text_has_a_score_and_keeps_it(text: str) -> None:
    score = polarity(text).score
    assert -1 <= score <= 1
    assert polarity(text).score == score
    assert (label_of(score) == "neutral") == (abs(score) < NEUTRAL)
