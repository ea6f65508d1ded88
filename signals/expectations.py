"""What may be expected of any forecast of the next minute: arithmetic, not promises."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: what is claimed or done, the figure, and what it means."""

    what: str
    figure: str
    meaning: str


REALISTIC = (
    Line("Next minute, every minute, from candles alone", "51–53 %", "An honest model on liquid instruments."),
    Line("Only the most confident fifth of minutes", "53–57 %", "Silence is where most of the skill lies."),
    Line(
        "Anything above 60 % at every minute", "a bug report", "Until proven otherwise: stale prices, ties, look-ahead."
    ),
    Line("Telling 55 % from a coin", "about 783", "Judged signals needed (two-sided 5 %, power 80 %)."),
    Line("Telling 52 % from a coin", "about 4,903", "The same test for a smaller, more usual edge."),
)
"""Hit rates and the sample sizes that prove them."""

BREAK_EVEN = tuple(
    Line(f"Payout {payout:.0%}".replace("%", " %"), f"{100 / (1 + payout):.1f} %", meaning)
    for payout, meaning in (
        (0.80, "More than most forecasts ever reach."),
        (0.85, "The payout our tiers are reckoned at."),
        (0.90, "Still above an honest average minute."),
    )
)
"""Hit rate at which an up/down bet neither wins nor loses: 1 / (1 + payout)."""

CONSISTENCY = (
    ("0.531", "52.2 %", "53.6 %", "54.9 %", "56.5 %"),
    ("0.543", "53.2 %", "55.1 %", "57.0 %", "59.3 %"),
    ("0.553", "53.8 %", "56.1 %", "58.4 %", "61.1 %"),
    ("0.570", "54.8 %", "57.6 %", "60.5 %", "63.9 %"),
    ("0.590", "56.4 %", "60.2 %", "64.0 %", "68.3 %"),
)
"""Claims that can be true together, for one Gaussian signal: AUC, then hit rate at 100, 50, 20, 5 % of the minutes."""
