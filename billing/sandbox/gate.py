"""The door of the API: key, version, idempotency, envelope (docs.stripe.com/api: authentication, idempotency)."""

import asyncio
import hmac
import json
import secrets
from base64 import b64decode
from hashlib import sha256
from typing import Any

from aiohttp import web

from billing.sandbox import faults
from billing.sandbox.api import find
from billing.sandbox.api.listing import expand
from billing.sandbox.faults import Fault, Faults
from billing.sandbox.refusals import Refused
from billing.sandbox.wire import Params, parse_form
from billing.sandbox.world import API_VERSION, World, public

KEPT_S = 86_400
LONGEST_KEY = 255


class Gate:
    """Answers everything below /v1/."""

    def __init__(self, world: World, key: str, faults: Faults) -> None:
        self.world, self.key, self.faults = world, key, faults

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request, with the fault that a test scripted for it."""
        fault = self.faults.take(request.method, request.path)
        body = await request.text()
        if fault is None:
            return self.answer(request, body)
        return await self._go_wrong(fault, request, body)

    async def _go_wrong(self, fault: Fault, request: web.Request, body: str) -> web.StreamResponse:
        answer = None
        if fault.kind in {faults.LOST, faults.HANG_AFTER}:
            answer = self.answer(request, body)
        await asyncio.sleep(fault.delay_s)
        if fault.kind == faults.SLOW:
            return self.answer(request, body)
        if fault.kind == faults.STATUS:
            return _json(fault.envelope(), fault.status, {})
        if request.transport is not None:
            request.transport.abort()
        return answer or web.Response(status=500)

    def answer(self, request: web.Request, body: str) -> web.Response:
        """The answer, the same as before where the idempotency key was seen."""
        headers = {"Request-Id": f"req_{secrets.token_urlsafe(12)}", "Stripe-Version": API_VERSION}
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        try:
            self._authenticate(request)
            if key:
                headers["Idempotency-Key"] = key
                if (kept := self._kept(key, request, body)) is not None:
                    return _json(kept["body"], kept["status"], {**headers, **kept["headers"]})
        except Refused as refused:
            return _json(refused.envelope(), refused.status, headers)
        self.world.request = {"id": headers["Request-Id"], "idempotency_key": key}
        try:
            status, found = 200, self._call(request, body)
        except Refused as refused:
            status, found = refused.status, refused.envelope()
            found["error"]["request_log_url"] = f"{self.world.base_url}/sandbox/"
        finally:
            self.world.request = {}
        if key and (status < 400 or status == 402):
            self._keep(key, request, body, status, found, headers["Request-Id"])
        return _json(found, status, headers)

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            given = b64decode(given).decode(errors="replace").partition(":")[0]
        if not given:
            raise Refused("You did not provide an API key.", status=401)
        if not hmac.compare_digest(given.encode(), self.key.encode()):
            shown = f"{given[:8]}{'*' * 8}{given[-4:]}" if len(given) > 16 else "*" * len(given)
            raise Refused(f"Invalid API Key provided: {shown}", status=401)
        version = request.headers.get("Stripe-Version", API_VERSION)
        if version != API_VERSION:
            raise Refused(f"The sandbox speaks the API version {API_VERSION} only, not {version}.")

    def _call(self, request: web.Request, body: str) -> Any:  # noqa: ANN401  # any JSON value
        found = find(request.method, request.path)
        if found is None:
            raise Refused(
                f"Unrecognized request URL ({request.method}: {request.path}): docs/sandbox.md lists what is spoken.",
                status=404,
            )
        call, named = found
        params = Params(parse_form("&".join(part for part in (request.query_string, body) if part)))
        paths = params.words("expand")
        answer = public(call(self.world, named, params))
        return expand(self.world, answer, paths)

    def _print(self, request: web.Request, body: str) -> str:
        return sha256(f"{request.method} {request.path}\n{body}".encode()).hexdigest()

    def _kept(self, key: str, request: web.Request, body: str) -> dict[str, Any] | None:
        if len(key) > LONGEST_KEY:
            raise Refused("Idempotency keys have at most 255 characters.", kind="idempotency_error")
        kept = self.world.table("_answer").get(key)
        if kept is None:
            return None
        if kept["at"] < self.world.wall() - KEPT_S:
            del self.world.table("_answer")[key]
            return None
        if kept["print"] != self._print(request, body):
            raise Refused(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        return kept

    def _keep(self, key: str, request: web.Request, body: str, status: int, found: Any, request_id: str) -> None:  # noqa: ANN401  # any JSON value
        self.world.table("_answer")[key] = {
            "print": self._print(request, body),
            "at": self.world.wall(),
            "status": status,
            "body": found,
            "headers": {"Idempotent-Replayed": "true", "Original-Request": request_id},
        }
        self.world.changed = True


def _json(found: Any, status: int, headers: dict[str, str]) -> web.Response:  # noqa: ANN401  # any JSON value
    return web.Response(
        text=json.dumps(found, indent=2), status=status, headers=headers, content_type="application/json"
    )
