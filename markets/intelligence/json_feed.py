"""JSON Feed 1.1 (jsonfeed.org/version/1.1), and any other JSON list of headlines by a mapping of names.

Options of a mapping, each a dotted path: `items` (the list), and within one of it `title`, `url`, `published`,
`language`, `source`, `observed`. `{"items": "articles", "published": "publishedAt", "source": "source.name"}` reads the
documented answers of newsapi.org.
"""

from typing import Any

from markets.intelligence.items import (
    MOST,
    FeedError,
    HeadlineItem,
    Items,
    Options,
    address,
    at_path,
    instant,
    parsed_json,
    plain,
)

MAPPING = {
    "items": "items",
    "title": "title",
    "url": "url",
    "published": "date_published",
    "language": "language",
    "source": "",
    "observed": "",
}
"""JSON Feed's own names."""


def read(body: bytes, options: Options) -> Items:
    """The headlines of one document.

    Raises:
        FeedError: no JSON, no list where the mapping says, or options that are none.
    """
    names = MAPPING | mapping_of(options)
    document = parsed_json(body)
    rows = at_path(document, names["items"])
    if not isinstance(rows, list):
        raise FeedError(f"no list of headlines at {names['items']!r}: name it in the option 'items'")
    if names == MAPPING and not str(at_path(document, "version")).startswith("https://jsonfeed.org/version/1"):
        raise FeedError("not a JSON Feed: name its parts in the options (items, title, url, published)")
    items = Items()
    for row in rows[:MOST]:
        add(items, row, names)
    return items


def add(items: Items, row: Any, names: dict[str, str]) -> None:  # noqa: ANN401  # any JSON value
    """Add one row as a headline, or count why not."""
    title = plain(_at(row, names["title"]))
    if not title:
        items.skip("no title")
        return
    items.headlines.append(
        HeadlineItem(
            title,
            address(_at(row, names["url"])),
            plain(_at(row, names["source"]), 80),
            plain(_at(row, names["language"]), 20),
            instant(_at(row, names["published"])),
            instant(_at(row, names["observed"])),
        )
    )


def mapping_of(options: Options) -> dict[str, str]:
    """The options, if each is a known name with a path."""
    for name, path in options.items():
        if name not in MAPPING or not isinstance(path, str):
            raise FeedError(f"option {name!r}: use {', '.join(MAPPING)}, each with a dotted path")
    return {name: str(path) for name, path in options.items()}


def _at(row: Any, path: str) -> Any:  # noqa: ANN401  # any JSON value
    return at_path(row, path) if path else None
