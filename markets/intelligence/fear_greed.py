"""Fear & Greed in the documented shape of alternative.me/crypto/fear-and-greed-index (`/fng/`).

`{"data": [{"value": "40", "value_classification": "Fear", "timestamp": "1551157200"}], "metadata": {"error": null}}`:
one value a day, published at its start. Option `key` names the index.
"""

from datetime import UTC, datetime, time

from markets.intelligence.items import MOST, FeedError, IndexItem, Items, Options, at_path, instant, parsed_json, plain

KEY = "crypto_fear_greed"
LOW, HIGH = 0, 100


def read(body: bytes, options: Options) -> Items:
    """The values of one answer.

    Raises:
        FeedError: no JSON, an error of the provider, or another shape.
    """
    document = parsed_json(body)
    if problem := at_path(document, "metadata.error"):
        raise FeedError(f"the provider answered: {plain(str(problem), 100)}", permanent=False)
    rows = at_path(document, "data")
    if not isinstance(rows, list):
        raise FeedError("no list at 'data': the address does not answer in the shape of alternative.me's index")
    items, key = Items(), str(options.get("key", KEY))[:40]
    for row in rows[:MOST]:
        at, value = instant(at_path(row, "timestamp")), number(at_path(row, "value"))
        if at is None or value is None or not LOW <= value <= HIGH:
            items.skip("no value from 0 to 100 with a time")
            continue
        items.indexes.append(IndexItem(key, at.date(), value, datetime.combine(at.date(), time(), UTC)))
    return items


def number(value: object) -> float | None:
    """A finite number out of JSON or CSV, else None."""
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if abs(found) < float("inf") else None
