"""Lists, searches and `expand`, the same for every kind (docs.stripe.com/api: pagination, search, expanding)."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from billing.sandbox import catalog, checkout
from billing.sandbox.customers import tax_ids_of
from billing.sandbox.refusals import Refused, missing
from billing.sandbox.wire import Params
from billing.sandbox.world import PREFIXES, Row, World, listed, public

MOST = 100
DEPTH = 4
CREATED = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}
# What Stripe sends only when it is asked for.
INCLUDABLE: dict[tuple[str, str], Callable[[World, Row], Any]] = {
    ("price", "currency_options"): lambda world, row: catalog.currency_options(world.get("price", row["id"])),
    ("checkout.session", "line_items"): lambda world, row: checkout.line_items(
        world, world.get("checkout.session", row["id"])
    ),
    ("customer", "tax_ids"): lambda world, row: listed(
        [public(tax) for tax in tax_ids_of(world, row["id"])], f"/v1/customers/{row['id']}/tax_ids"
    ),
    ("customer", "subscriptions"): lambda world, row: listed(
        [
            public(one)
            for one in reversed(world.table("subscription").values())
            if one["customer"] == row["id"] and one["status"] != "canceled"
        ],
        "/v1/subscriptions",
    ),
    ("invoice", "payments"): lambda world, row: listed(
        [public(one) for one in world.get("invoice", row["id"])["_payments"]], "/v1/invoice_payments"
    ),
}


def page(params: Params, rows: Iterable[Row], url: str) -> Row:
    """One page of rows that are given oldest first and answered newest first."""
    limit = params.whole("limit", 10, low=1) or 10
    if limit > MOST:
        raise Refused("This value must be less than or equal to 100 (it currently is more).", param="limit")
    after, before = params.text("starting_after"), params.text("ending_before")
    found = [row for row in reversed(list(rows)) if _created(params, row)]
    params.done()
    if after and before:
        raise Refused("You cannot parameterize a list operation with both `starting_after` and `ending_before`.")
    if after:
        found = found[_position(found, after, "starting_after") + 1 :]
        return _list(found[:limit], len(found) > limit, url)
    if before:
        found = found[: _position(found, before, "ending_before")]
        return _list(found[-limit:], len(found) > limit, url)
    return _list(found[:limit], len(found) > limit, url)


def _list(rows: list[Row], more: bool, url: str) -> Row:
    return {"object": "list", "data": rows, "has_more": more, "url": url}


def _position(rows: list[Row], row_id: str, param: str) -> int:
    for at, row in enumerate(rows):
        if row["id"] == row_id:
            return at
    raise missing("object", row_id, param)


def _created(params: Params, row: Row) -> bool:
    if isinstance(params.data.get("created"), str):
        return bool(row["created"] == params.moment("created"))
    inner = params.inner("created")
    bounds = [(compare, inner.moment(name)) for name, compare in CREATED.items()]
    return all(bound is None or compare(row["created"], bound) for compare, bound in bounds)


def search(params: Params, rows: Iterable[Row], url: str) -> Row:
    """Rows that fit a query of clauses `field:'value'` and `metadata['key']:'value'` joined by AND.

    Raises:
        Refused: the query has another form.
    """
    query = params.required("query")
    limit = params.whole("limit", 10, low=1) or 10
    start = int(params.text("page") or 0)
    params.done()
    clauses = [_clause(text.strip()) for text in re.split(r"\s+AND\s+", query, flags=re.IGNORECASE)]
    found = [row for row in reversed(list(rows)) if all(fits(row) for fits in clauses)]
    more = len(found) > start + limit
    return {
        "object": "search_result",
        "data": found[start : start + limit],
        "has_more": more,
        "next_page": str(start + limit) if more else None,
        "url": url,
    }


def _clause(text: str) -> Callable[[Row], bool]:
    found = re.fullmatch(r"""(\w+)(?:\[["'](.+?)["']\])?\s*(:|~)\s*["'](.*)["']""", text)
    if not found:
        raise Refused(f"We were unable to parse your search query near: {text}", param="query")
    name, key, sign, value = found.groups()

    def fits(row: Row) -> bool:
        held = row.get(name)
        if key is not None:
            held = (held or {}).get(key)
        word = str(held).lower() if isinstance(held, bool) else str(held or "")
        return value.lower() in word.lower() if sign == "~" else word == value

    return fits


def expand(world: World, answer: Any, paths: list[str]) -> Any:  # noqa: ANN401  # any JSON value
    """The answer with the named references replaced by what they name.

    Raises:
        Refused: a path leads nowhere, or deeper than four levels.
    """
    for path in paths:
        steps = path.split(".")
        if len(steps) > DEPTH + (steps[0] == "data"):
            raise Refused(f"You cannot expand more than {DEPTH} levels of a property: {path}", param="expand")
        _expand(world, answer, steps, path)
    return answer


def _expand(world: World, value: Any, steps: list[str], path: str) -> None:  # noqa: ANN401  # any JSON value
    if isinstance(value, list):
        for entry in value:
            _expand(world, entry, steps, path)
        return
    if value is None or not steps:
        return
    if not isinstance(value, dict):
        raise _cannot(path)
    name, rest = steps[0], steps[1:]
    make = INCLUDABLE.get((value.get("object", ""), name))
    if make and name not in value:
        value[name] = make(world, value)
    elif name not in value:
        raise _cannot(path)
    elif isinstance(value[name], str):
        value[name] = _named(world, value[name], name, path)
    elif isinstance(value[name], list):
        value[name] = [_named(world, one, name, path) if isinstance(one, str) else one for one in value[name]]
    _expand(world, value[name], rest, path)


def _named(world: World, row_id: str, name: str, path: str) -> Row:
    kind = "coupon" if name == "coupon" else PREFIXES.get(row_id.split("_", 1)[0])
    row = world.table(kind).get(row_id) if kind else None
    if row is None:
        raise _cannot(path)
    return dict(public(row))


def _cannot(path: str) -> Refused:
    return Refused(f"This property cannot be expanded ({path}).", param="expand")
