"""A real browser against a real server: nothing may leave the machine, and nothing may go wrong unseen."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebSocketRoute,
    expect,
    sync_playwright,
)

from tests.people import Person
from tests.signals.live import serving
from tools.find_chromium import found

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=30_000)  # what must come may take its time on a busy machine; what must not has its own
OWN = re.compile(r"^(https?|wss?)://127\.0\.0\.1[:/]|^(data|blob|about):")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives Chromium, in one worker: two browsers are slower than one on two cores."""
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


def _chromium() -> str:
    if path := found():
        return path
    reason = "no Chromium found: install the package `chromium` or run `playwright install chromium`"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a module.

    Not of the session: playwright's event loop runs in the tests' own thread for as long as it lives, and other
    tests of the same worker want to run loops of their own.
    """
    path = _chromium()
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # that running loop looks like async code to Django
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def site(browser: Browser, transactional_db: None) -> Iterator[str]:
    """The whole application on a bound socket over this test's database; gone before the database is emptied."""
    with serving() as address:
        yield f"http://{address}"


class Watched:
    """What went wrong in a page although nobody looked."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.allowed: list[str] = []

    def allow(self, part: str) -> None:
        """Expect faults whose text holds `part` (a page that answers 404 on purpose)."""
        self.allowed.append(part)

    def console(self, message: ConsoleMessage) -> None:
        """Errors, Content-Security-Policy reports among them."""
        if message.type == "error" or "Content Security Policy" in message.text:
            self.faults.append(f"console: {message.text}")

    def failed(self, request: Request) -> None:
        """A request that got no answer, unless the page itself was left."""
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed: {request.url} {request.failure}")

    def left(self) -> list[str]:
        """The faults that nobody expected."""
        return [fault for fault in self.faults if not any(part in fault for part in self.allowed)]


@pytest.fixture
def watched() -> Iterator[Watched]:
    """Fails the test on any console error, page error, failed request, policy report or request off the machine."""
    seen = Watched()
    yield seen
    assert seen.left() == []


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, site: str, watched: Watched) -> Iterator[OpenPage]:
    """Open a page of the site: `open_page("/", user=…, width=…, **context options)`."""
    contexts: list[BrowserContext] = []

    def opened(
        path: str = "/",
        *,
        user: Client | None = None,
        width: int = 1280,
        before: Callable[[Page], None] | None = None,
        **options: object,
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, base_url=site, **options)  # type: ignore[arg-type]  # what a test asks of a context
        contexts.append(context)
        if user is not None:
            cookies = [{"name": key, "value": morsel.value, "url": site} for key, morsel in user.cookies.items()]
            context.add_cookies(cookies)  # type: ignore[arg-type]  # playwright's TypedDict
        page = context.new_page()
        page.on("console", watched.console)
        page.on("pageerror", lambda error: watched.faults.append(f"page: {error}"))
        page.on("requestfailed", watched.failed)
        page.on("request", lambda r: None if OWN.match(r.url) else watched.faults.append(f"off the machine: {r.url}"))
        if before is not None:
            before(page)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()


class Wire:
    """The server's end of the board's socket, in the test's hand.

    A page that comes back, because a slow test let it wait for more than five seconds, is told again what has an id.
    """

    def __init__(self) -> None:
        self.routes: list[WebSocketRoute] = []
        self.hellos: list[str] = []
        self.told: list[dict[str, Any]] = []
        self.greet = True
        self.speed = 1
        self.delay_s = 0
        self.now_s: float | None = None  # what it says the time is, when not the wall's

    def attach(self, page: Page) -> None:
        """Answer every socket the page opens."""
        page.route_web_socket(re.compile(r"/ws/board/"), self._serve)

    def _serve(self, route: WebSocketRoute) -> None:
        self.routes.append(route)
        route.on_message(lambda message: self._hello(route, str(message)))

    def _hello(self, route: WebSocketRoute, message: str) -> None:
        self.hellos.append(message)
        if self.greet:
            now = int((time.time() if self.now_s is None else self.now_s) * 1000)
            hello = {"type": "hello", "id": 0, "now": now, "speed": self.speed, "delay_s": self.delay_s}
            route.send(json.dumps({"type": "batch", "frames": [hello, *self.told]}))

    def send(self, *frames: dict[str, Any]) -> None:
        """Send frames over the newest socket; several go as one batch, as the broadcaster sends them."""
        self.told += [frame for frame in frames if "id" in frame]
        frame = frames[0] if len(frames) == 1 else {"type": "batch", "frames": list(frames)}
        self.routes[-1].send(json.dumps(frame))


@pytest.fixture
def member(transactional_db: None, owner: Person) -> Client:
    """A member on the Desk plan who has accepted the disclaimer."""
    return owner.client


@pytest.fixture
def wire() -> Wire:
    """A socket that says only what the test makes it say."""
    return Wire()
