"""What all pages share: rendering, headers, the same-origin check of forms, money and dates as text."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django.template as templates
from aiohttp import web

from billing.sandbox.deliveries import Deliveries
from billing.sandbox.refusals import Refused
from billing.sandbox.world import World

HERE = Path(__file__).parent.parent
ENGINE = templates.Engine(dirs=[str(HERE / "templates")], autoescape=True)
SIGNS = {"usd": "$", "eur": "€", "gbp": "£"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Context:
    """What handlers work with."""

    world: World
    deliveries: Deliveries


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)


def world_of(request: web.Request) -> World:
    """The world behind a request."""
    return request.app[CONTEXT].world


def money(amount: int, currency: str) -> str:
    """Minor units as people read them: -2900 usd is `−$29.00`."""
    sign, whole = ("−" if amount < 0 else ""), abs(amount)
    text = f"{whole // 100:,}.{whole % 100:02d}"
    return f"{sign}{SIGNS[currency]}{text}" if currency in SIGNS else f"{sign}{text} {currency.upper()}"


def day(at: int | None) -> str:
    """A date as people read it."""
    return f"{datetime.fromtimestamp(at, UTC):%-d %B %Y}" if at is not None else ""


def moment(at: float) -> str:
    """A date with its time, UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%-d %b %Y, %H:%M:%S} UTC"


def origin_of(url: str | None) -> str:
    """Scheme and host of an address, or nothing."""
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} and parts.netloc else ""


def render(
    name: str, values: dict[str, Any], *, status: int = 200, leads_to: tuple[str | None, ...] = ()
) -> web.Response:
    """A page; `leads_to` are addresses its form may be redirected to, which the policy has to name."""
    text = ENGINE.get_template(name).render(templates.Context(values, use_tz=False, use_l10n=False))
    origins = " ".join(sorted({origin_of(url) for url in leads_to} - {""}))
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {origins}".strip()
    )
    return web.Response(text=text, status=status, content_type="text/html", headers={"Content-Security-Policy": policy})


def see_other(url: str) -> web.Response:
    """Go there with GET."""
    return web.Response(status=303, headers={"Location": url})


async def stylesheet(_request: web.Request) -> web.StreamResponse:
    """GET /sandbox.css."""
    return web.FileResponse(HERE / "sandbox.css", headers={"Content-Type": "text/css; charset=utf-8"})


async def no_icon(_request: web.Request) -> web.StreamResponse:
    """GET /favicon.ico: browsers ask unbidden, and would note a 404 as an error."""
    return web.Response(status=204)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse foreign hosts and cross-origin posts to pages, and turn refusals into pages."""
    if request.path.startswith("/v1/"):  # guarded by its key, and tests put proxies before it
        return await handler(request)
    host = request.headers.get("Host", "")
    port = urlsplit(world_of(request).base_url).port
    if host not in {f"127.0.0.1:{port}", f"localhost:{port}"}:
        return web.Response(status=421, text="The sandbox answers as 127.0.0.1 only.")
    if request.method == "POST" and not _same_origin(request, host):
        return render("message.html", {"title": "Refused", "text": "This form was sent from another site."}, status=403)
    try:
        answer = await handler(request)
    except Refused as refused:
        answer = render(
            "message.html", {"title": "This page is not there", "text": str(refused)}, status=refused.status
        )
    answer.headers["Referrer-Policy"] = "same-origin"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _same_origin(request: web.Request, host: str) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin == f"http://{host}"
    return request.headers.get("Sec-Fetch-Site") == "same-origin"


async def form_of(request: web.Request) -> dict[str, str]:
    """The posted fields."""
    posted = await request.post()
    return {name: value for name, value in posted.items() if isinstance(value, str)}
