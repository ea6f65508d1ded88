"""The bins in which stated probabilities are counted: five points each, the same for every page and every fit."""

WIDTH = 0.05


def bin_of(probability: float) -> int:
    """Number of the 5-point bin that holds `probability`."""
    return min(int(probability / WIDTH + 1e-9), int(1 / WIDTH) - 1)
