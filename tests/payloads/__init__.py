"""Hand-written payloads in the shapes venues document; each file says where its shape is documented."""

import json
from pathlib import Path


def payload(name: str) -> object:
    """The payload in `name` (`binance/kline_closed`), without its header."""
    content = json.loads((Path(__file__).parent / f"{name}.json").read_text())
    assert content["documented_at"].startswith("https://")
    return content["payload"]
