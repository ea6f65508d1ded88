"""The pages people see: checkout, portal, invoice, clock. Server-rendered, no script, one stylesheet."""

from aiohttp import web

from billing.sandbox.pages import checkout, clock, frame, invoice, portal


def routes() -> list[web.RouteDef]:
    """All addresses of pages."""
    return [
        web.get("/", clock.home),
        web.get("/sandbox/", clock.show),
        web.post("/sandbox/clock", clock.move),
        web.post("/sandbox/resend", clock.resend),
        web.get("/c/pay/{id}", checkout.show),
        web.post("/c/pay/{id}", checkout.act),
        web.get("/p/session/{id}", portal.show),
        web.post("/p/session/{id}", portal.act),
        web.get("/i/{token}", invoice.show),
        web.post("/i/{token}", invoice.pay),
        web.get("/i/{token}/pdf", invoice.printable),
        web.get("/sandbox.css", frame.stylesheet),
        web.get("/favicon.ico", frame.no_icon),
    ]
