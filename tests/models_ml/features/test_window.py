"""A window's memory: a history is built instrument by instrument, and none may wait for the garbage collector."""

import gc

from models_ml.features import LOOKBACK, build
from models_ml.features.window import Window
from tests.models_ml.features.walks import minutes, walk


def windows() -> set[int]:
    return {id(one) for one in gc.get_objects() if type(one) is Window}


def test_the_windows_of_a_history_go_when_it_is_built() -> None:
    times, candles = minutes(LOOKBACK + 100), walk(1, LOOKBACK + 100)
    gc.collect()
    before = windows()
    gc.disable()
    try:
        build(times, candles, LOOKBACK)
        assert windows() <= before
    finally:
        gc.enable()
