"""The sentimental lens: headlines and the Fear & Greed index where they are known, with the mood that volume shows.

Candles alone carry no mood: without a headline and without the index it says so and stays neutral.
"""

from models_ml.lenses.base import Facts, Sight, joined, neutral, sentence, side, signed

TONE, MOOD, VOLUME = 0.15, 10.0, 0.1
"""How far the tone of headlines, the index − 50, and the balance of volume must be from zero to count."""
ENOUGH = 2

HEADLINES = {1: "good", -1: "bad"}
VOLUMES = {1: "volume goes with rising candles", -1: "volume goes with falling candles"}


def look(facts: Facts) -> Sight:
    """Two moods that agree and none against them, or one alone that volume does not contradict."""
    parts = _moods(facts)
    if not parts:
        return neutral("No headline is known.")
    volume = side(facts.row.get("volume_sentiment_240", 0.0), VOLUME)
    parts += [(volume, VOLUMES[volume])] if volume else []
    total = sum(mood for mood, _ in parts)
    against = any(mood and mood != side(total) for mood, _ in parts)
    said = joined(text for _, text in parts)
    if total == 0 or against or abs(total) < min(ENOUGH, len(parts)):
        return neutral(sentence(f"no common mood: {said}"))
    return Sight(side(total), sentence(said))


def _moods(facts: Facts) -> list[tuple[int, str]]:
    """What is known beyond candles."""
    text, parts = facts.text, []
    count = int(text.get("headlines", 0))
    if count and "headline_tone" in text:
        tone = text["headline_tone"]
        mood = side(tone, TONE)
        what = f"{count} headline{'s' if count > 1 else ''}"
        parts.append((mood, f"{what} in a {HEADLINES.get(mood, 'mixed')} tone ({signed(tone, 2)})"))
    if "fear_greed" in text:
        index = text["fear_greed"]
        mood = side(index - 50, MOOD)
        word = {1: "greed", -1: "fear", 0: "balance"}[mood]
        parts.append((mood, f"Fear & Greed at {index:.0f} shows {word}"))
    return parts
