"""Why agents are silent: written into a training's detail, read from it again."""

from models_ml.silences import detail_of, reasons_of, without

LINES = [
    without("crypto", ["volatility", "moves"], "378 known windows are too few: load more candles"),
    without("crypto", ["sizing_rl"], "0 of the older 0 judged decisions had an edge: sizing waits for 1,000"),
    without("forex", ["regime"], "12 quarter hours are too few"),
]


def test_a_page_reads_what_a_training_wrote() -> None:
    detail = detail_of(LINES)
    told = reasons_of(detail, "crypto")
    assert told == {
        "volatility": "378 known windows are too few: load more candles",
        "moves": "378 known windows are too few: load more candles",
        "sizing_rl": "0 of the older 0 judged decisions had an edge: sizing waits for 1,000",
    }
    assert reasons_of(detail, "forex") == {"regime": "12 quarter hours are too few"}


def test_other_details_say_nothing_of_agents() -> None:
    for detail in ("", "interrupted: its process is gone", "crypto without reason", "a venue without candles: load"):
        assert reasons_of(detail, "crypto") == {}
