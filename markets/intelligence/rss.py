"""RSS 2.0 (rssboard.org/rss-specification) and Atom (RFC 4287): headlines out of XML that may be hostile.

A document type is refused altogether: neither format has one, and entities are how XML attacks its reader.
"""

from xml.etree.ElementTree import Element, ParseError  # the types; defusedxml parses

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from markets.intelligence.items import LONGEST, MOST, FeedError, HeadlineItem, Items, Options, address, instant, plain

ATOM = "{http://www.w3.org/2005/Atom}"
DUBLIN = "{http://purl.org/dc/elements/1.1/}"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def read(body: bytes, options: Options) -> Items:
    """The headlines of one document; `options` are not used.

    Raises:
        FeedError: no XML, neither format, with a document type, or too large.
    """
    root = _root(body)
    if root.tag == f"{ATOM}feed":
        return _items([_atom(entry, root) for entry in root.findall(f"{ATOM}entry")[:MOST]])
    channel = root.find("channel")
    if root.tag == "rss" and channel is not None:
        return _items([_rss(item, _text(channel, "language")) for item in channel.findall("item")[:MOST]])
    raise FeedError(f"XML with the root {plain(root.tag, 60)!r}: neither RSS 2.0 nor Atom, check the address")


def _root(body: bytes) -> Element:
    if len(body) > LONGEST:
        raise FeedError(f"document of {len(body):,} bytes: at most {LONGEST:,} are read")
    try:
        root: Element = fromstring(body, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as error:
        raise FeedError("the document has a document type or entities, which are not read") from error
    except (ParseError, ValueError, LookupError) as error:
        raise FeedError(f"not a readable XML document ({plain(str(error), 80)}): check the address") from error
    return root


def _items(found: list[HeadlineItem]) -> Items:
    items = Items()
    for headline in found:
        if headline.title:
            items.headlines.append(headline)
        else:
            items.skip("no title")
    return items


def _rss(item: Element, language: str) -> HeadlineItem:
    link = address(_text(item, "link")) or address(_text(item, "guid"))
    published = instant(_text(item, "pubDate")) or instant(_text(item, f"{DUBLIN}date"))
    return HeadlineItem(plain(_text(item, "title")), link, "", plain(language, 20), published)


def _atom(entry: Element, feed: Element) -> HeadlineItem:
    links = {link.get("rel", "alternate"): link.get("href") for link in reversed(entry.findall(f"{ATOM}link"))}
    published = instant(_text(entry, f"{ATOM}published")) or instant(_text(entry, f"{ATOM}updated"))
    language = entry.get(LANGUAGE) or feed.get(LANGUAGE) or ""
    url = address(links.get("alternate")) or address(_text(entry, f"{ATOM}id"))
    return HeadlineItem(plain(_text(entry, f"{ATOM}title")), url, "", plain(language, 20), published)


def _text(element: Element, name: str) -> str:
    """All text below a child: a title may hold markup of its own (Atom's xhtml)."""
    child = element.find(name)
    return "" if child is None else "".join(child.itertext())
