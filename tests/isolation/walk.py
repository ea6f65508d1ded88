"""The walk: every address by every principal, with one's own rows and with another tenant's, and what came of it."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote, urlencode

from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from tests.isolation.inventory import Route, routes
from tests.isolation.rules import RANKS, RULES, Rule
from tests.isolation.world import Side, snapshot, visitor
from tests.people import Person, lasting

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MISSING, REFUSED = 404, frozenset({401, 403, 404, 405})
REQUEST_ID = re.compile(r"<code>[^<]*</code>")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a caller could do or learn and should not."""

    address: str
    caller: str
    method: str
    what: str


@dataclass
class Report:
    """What was tried, and what came out."""

    requests: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For the build's artifact."""
        return {
            "addresses": len(self.requests),
            "requests": self.requests.total(),
            "leaks": [asdict(finding) for finding in self.findings],
            "by_address": dict(sorted(self.requests.items())),
        }


class Walk:
    """One pass over all rules from side `ours` against side `theirs`; every request is rolled back."""

    def __init__(self, ours: Side, theirs: Side, nowhere: Side) -> None:
        self.ours, self.theirs, self.nowhere = ours, theirs, nowhere
        self.report = Report()
        self.callers: dict[str, Person] = {"visitor": visitor(), **ours.people}

    def run(self, *, with_console: bool = True) -> Report:
        """Try everything; rows that changed although nothing was allowed to are findings as well."""
        before = snapshot()
        for name, rule in RULES.items():
            for caller in self.callers:
                self._own(name, rule, caller)
                if rule.names_row:
                    self._foreign(name, rule, caller)
        for route in routes() if with_console else ():
            if route.name.startswith("admin:"):
                self._console(route)
        after = snapshot()
        for table in before:
            if before[table] != after[table]:
                self.report.findings.append(Finding(table, "anybody", "", "rows changed during the walk"))
        return self.report

    def _own(self, name: str, rule: Rule, caller: str) -> None:
        """With one's own rows: who is too little is refused, who is enough is not; nobody reads the others' words."""
        for method in METHODS:
            response = self._send(name, rule, caller, method, self.ours)
            entitled = RANKS[caller] >= rule.least(method) and not rule.personal
            allowed = entitled and (method in rule.methods or bool(rule.why))
            if not allowed and not _is_refusal(response):
                self._find(name, caller, method, f"was let in with {response.status_code}")
            if allowed and not rule.why and _is_refusal(response):
                self._find(name, caller, method, f"was refused with {response.status_code}")
            self._read(name, caller, method, response)

    def _foreign(self, name: str, rule: Rule, caller: str) -> None:
        """With the other side's rows: the very answer that a row nobody has gets."""
        for method in rule.methods:
            theirs = self._send(name, rule, caller, method, self.theirs)
            absent = self._send(name, rule, caller, method, self.nowhere)
            if _essence(theirs, name, rule, self.theirs) != _essence(absent, name, rule, self.nowhere):
                self._find(name, caller, method, f"{theirs.status_code} differs from absent's {absent.status_code}")
            if caller != "visitor" and theirs.status_code != MISSING:
                self._find(name, caller, method, f"answers {theirs.status_code}, not 404")
            self._read(name, caller, method, theirs, said=rule.keys(self.theirs) | rule.data(self.theirs))

    def _console(self, route: Route) -> None:
        """An address of the console is, for everybody but operators, one that does not exist."""
        for caller, who in self.callers.items():
            for method in ("GET", "POST"):
                self.report.requests[route.name] += 1
                response: Any = twin(who.client).generic(method, "/" + _filled(route, self.theirs))
                if response.status_code != MISSING:
                    self._find(route.name, caller, method, f"answers {response.status_code}, not 404")
                self._read(route.name, caller, method, response)

    def _read(
        self, name: str, caller: str, method: str, response: HttpResponse, said: dict[str, Any] | None = None
    ) -> None:
        text = f"{response.headers} {_body(response)}"
        for word in (said or {}).values():  # what the caller sent may come back
            text = text.replace(str(word), "")
        if words := self.theirs.tells(text):
            self._find(name, caller, method, f"shows {', '.join(words)}")
        if response.status_code >= 500:  # a server error
            self._find(name, caller, method, f"broke with {response.status_code}")

    def _send(self, name: str, rule: Rule, caller: str, method: str, side: Side) -> HttpResponse:
        client = twin(self.callers[caller].client)
        path = reverse(name, kwargs=rule.keys(side))
        self.report.requests[name] += 1
        with transaction.atomic():
            response: Any = client.generic(method, path, **({} if method == "GET" else plain_post(rule, side)))
            _body(response)  # a stream is read inside
            transaction.set_rollback(True)
        answer: HttpResponse = response
        return answer

    def _find(self, name: str, caller: str, method: str, what: str) -> None:
        self.report.findings.append(Finding(name, caller, method, what))


def unlisted(names: Iterable[str]) -> list[str]:
    """Addresses that no rule speaks of; the console has one rule for all of its own."""
    return sorted(name for name in set(names) - set(RULES) if not name.startswith("admin:"))


def _filled(route: Route, side: Side) -> str:
    """A console address with the side's organization wherever it names a row."""
    text = re.sub(r"\(\?P<url>[^)]*\)\$?", "no-such-page", route.text)
    return re.sub(r"<[^>]*>", str(side.organization.pk), text).replace("^", "")


def twin(client: Client, of: Client | None = None) -> Client:
    """The same session in a client of its own: an answer that ends the session must not end the walk."""
    made = of or Client(raise_request_exception=False)
    made.cookies = SimpleCookie({key: morsel.value for key, morsel in client.cookies.items()})
    return made


def plain_post(rule: Rule, side: Side) -> dict[str, Any]:
    """What a browser sends of the rule's form, for `Client.generic`."""
    return {"data": urlencode(rule.data(side)), "content_type": "application/x-www-form-urlencoded"}


def _is_refusal(response: HttpResponse) -> bool:
    return response.status_code in REFUSED or "/accounts/login/" in response.headers.get("Location", "")


def _body(response: HttpResponse) -> str:
    if response.streaming:
        if not hasattr(response, "_read_once"):
            response._read_once = b"".join(response.streaming_content)  # type: ignore[attr-defined]
        return str(response._read_once.decode(errors="replace"))  # type: ignore[attr-defined]
    return response.content.decode(errors="replace")


def _essence(response: HttpResponse, name: str, rule: Rule, side: Side) -> tuple[int, str, str]:
    """An answer without what is new each time, and without what was asked for."""
    path = reverse(name, kwargs=rule.keys(side))
    words = [path, quote(path), quote(path, safe=""), *map(str, rule.data(side).values())]
    text, where = REQUEST_ID.sub("", lasting(_body(response).encode())), response.headers.get("Location", "")
    for word in words:
        text, where = text.replace(word, ""), where.replace(word, "")
    return response.status_code, where, text
