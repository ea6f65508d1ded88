"""Each lens on markets made by hand: what it must say, and the figures it says it with."""

import pytest

from models_ml.lenses import analytical, fundamental, logical, sentimental, technical
from models_ml.lenses.base import Facts, joined, signed

RISING = {"swing_trend": 1.0, "break_of_structure": 1.0, "swing_low_gap": 3.0, "swing_high_gap": 0.2}
TREND = {"score_60": 1.6, "memory_1_60": 0.2, "hurst_240": 0.61, "variance_ratio_5_60": 0.3}
MOVES = {"return_5": 0.9, "return_15": 1.1, "return_30": 0.8, "return_60": 0.4}


def test_structure_that_rises_is_up() -> None:
    sight = logical.look(Facts(RISING))
    assert (sight.direction, sight.reason) == (1, "Highs and lows rise and price broke a swing high with the trend.")


def test_a_change_of_character_outweighs_the_trend_that_it_ends() -> None:
    changed = {"swing_trend": 0.0, "change_of_character": -1.0}
    assert logical.look(Facts(changed)).direction == -1
    assert logical.look(Facts({"swing_trend": 1.0, "change_of_character": -1.0})).direction == 0


def test_a_level_tips_the_scales_only_where_one_alone_is_near() -> None:
    at_support = {"swing_trend": 1.0, "swing_low_gap": 0.3, "swing_high_gap": -4.0}
    assert logical.look(Facts(at_support)).direction == 1
    assert "support lies 0.3 true ranges below" in logical.look(Facts(at_support)).reason
    squeezed = at_support | {"swing_high_gap": -0.3}
    assert logical.look(Facts(squeezed)).direction == 0


def test_a_distance_is_continued_where_moves_persist_and_undone_where_they_revert() -> None:
    assert analytical.look(Facts(TREND)).direction == 1
    reverting = TREND | {"memory_1_60": -0.2, "hurst_240": 0.4, "variance_ratio_5_60": -0.3}
    sight = analytical.look(Facts(reverting))
    assert sight.direction == -1
    assert sight.reason == (
        "Price stands +1.6 σ from the hour's mean while moves tend to revert (lag 1: −0.20, Hurst 0.40)."
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"score_60": 0.9}, "under 1 σ"),
        ({"memory_1_60": 0.0, "hurst_240": 0.5}, "neither persist nor revert"),
        ({"deviation_ratio_60_240": 3.0}, "3.0 times"),
    ],
)
def test_statistics_stay_out_of_what_they_cannot_say(changes: dict[str, float], words: str) -> None:
    sight = analytical.look(Facts(TREND | changes))
    assert sight.direction == 0
    assert words in sight.reason


def test_without_a_headline_there_is_no_mood_whatever_volume_does() -> None:
    sight = sentimental.look(Facts({"volume_sentiment_240": 0.9}))
    assert (sight.direction, sight.reason) == (0, "No headline is known.")


@pytest.mark.parametrize(
    ("text", "volume", "direction"),
    [
        ({"headlines": 3, "headline_tone": 0.4}, 0.0, 1),
        ({"headlines": 3, "headline_tone": 0.4}, -0.5, 0),
        ({"headlines": 3, "headline_tone": -0.4, "fear_greed": 20.0}, -0.5, -1),
        ({"headlines": 3, "headline_tone": 0.4, "fear_greed": 20.0}, 0.5, 0),
        ({"fear_greed": 80.0}, 0.3, 1),
        ({"fear_greed": 52.0}, 0.3, 0),
    ],
)
def test_a_mood_needs_agreement(text: dict[str, float], volume: float, direction: int) -> None:
    assert sentimental.look(Facts({"volume_sentiment_240": volume}, text)).direction == direction


def test_a_mood_names_its_figures() -> None:
    said = sentimental.look(Facts({}, {"headlines": 1, "headline_tone": 0.4, "fear_greed": 71.0})).reason
    assert said == "1 headline in a good tone (+0.40) and Fear & Greed at 71 shows greed."


def indicators(up: int, down: int) -> dict[str, float]:
    """Readings of which the first so many point up, the next down and the rest nowhere."""
    columns = ("ema_gap_20", "ema_gap_50", "macd_histogram", "rsi_14", "stochastic_k_14_3", "supertrend_direction")
    row = dict.fromkeys(columns, 0.0) | {"band_place_20": 0.0, "directional_balance_14": 0.0, "adx_14": 0.3}
    row["ichimoku_cloud"] = 0.0
    names = [*columns, "directional_balance_14", "ichimoku_cloud"]
    for place, name in enumerate(names[: up + down]):
        row[name] = 1.0 if place < up else -1.0
    return row


@pytest.mark.parametrize(
    ("up", "down", "direction"), [(6, 0, 1), (6, 2, 1), (5, 0, 0), (2, 6, -1), (4, 4, 0), (0, 0, 0)]
)
def test_two_thirds_of_the_indicators_decide(up: int, down: int, direction: int) -> None:
    assert technical.look(Facts(indicators(up, down))).direction == direction


def test_a_band_reads_against_the_move_and_only_beyond_it() -> None:
    assert technical.INDICATORS["Bollinger"]({"band_place_20": 1.2}) == -1
    assert technical.INDICATORS["Bollinger"]({"band_place_20": 0.9}) == 0


def test_a_trend_index_counts_only_in_a_trend() -> None:
    assert technical.INDICATORS["ADX"]({"directional_balance_14": 0.3, "adx_14": 0.2}) == 0


def test_momentum_needs_its_spans_and_its_volume() -> None:
    assert fundamental.look(Facts(MOVES | {"volume_oscillator_5_20": 0.18})).direction == 1
    assert fundamental.look(Facts(MOVES)).reason == "Momentum over 5 to 60 minutes is +0.8 σ and volume is unknown."
    assert fundamental.look(Facts(MOVES | {"volume_oscillator_5_20": -0.4})).direction == 0
    torn = {"return_5": 3.0, "return_15": -0.5, "return_30": -0.2, "return_60": 0.4}
    assert "only 2 of 4 spans" in fundamental.look(Facts(torn)).reason


def test_words() -> None:
    assert [joined([]), joined(["a"]), joined(["a", "b", "c"])] == ["", "a", "a, b and c"]
    assert [signed(1.25), signed(-0.3), signed(-0.01)] == ["+1.2", "−0.3", "0.0"]
