"""Two language-model providers on loopback, for the real google-genai and openai clients, with scripted misbehaviour.

Shapes as documented at https://ai.google.dev/api/generate-content (POST /v1/models/{model}:generateContent) and
https://docs.x.ai/docs/api-reference (POST /v1/chat/completions), errors included. Runs in its own thread and event
loop; `play` decides what happens to each request:

    with LlmServer(lambda request: Say(vote())) as server:
        settings.GEMINI_BASE_URL, settings.XAI_BASE_URL = server.gemini_url, server.xai_url
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

_FACTS = re.compile(r"<facts>\n(.*)\n</facts>", re.DOTALL)


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    provider: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float = field(default_factory=time.monotonic)

    @property
    def user(self) -> str:
        """The message that carries the data."""
        if self.provider == "gemini":
            return str(self.body["contents"][0]["parts"][0]["text"])
        return str(self.body["messages"][1]["content"])

    @property
    def system(self) -> str:
        """The instructions."""
        if self.provider == "gemini":
            return str(self.body["systemInstruction"]["parts"][0]["text"])
        return str(self.body["messages"][0]["content"])

    @property
    def facts(self) -> dict[str, Any]:
        """The snapshot between its delimiters."""
        found = _FACTS.search(self.user)
        assert found, self.user[:200]
        return dict(json.loads(found.group(1)))

    @property
    def repair(self) -> bool:
        """Whether this is the second attempt."""
        return "could not be read" in self.user


@dataclass(frozen=True)
class Say:
    """The model says `text`, after `delay_s`. With `drip_s` its reply comes in pieces, one each so many seconds."""

    text: str
    delay_s: float = 0.0
    drip_s: float = 0.0
    tokens: tuple[int, int] | None = (900, 60)


@dataclass(frozen=True)
class Refuse:
    """The provider's policy stops the answer."""


@dataclass(frozen=True)
class Raw:
    """Any HTTP reply."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Hang:
    """Nothing ever comes."""


class Cut:
    """The connection ends without a reply."""


Play = Say | Refuse | Raw | Hang | Cut
Shape = Callable[[str, tuple[int, int] | None], object]


def vote(direction: str = "UP", confidence: float = 62, reason: str = "Volume rises.", risk: str = "LOW") -> str:
    """A sound answer."""
    return json.dumps({"direction": direction, "confidence": confidence, "risk": risk, "reason": reason})


def error(status: int, *, retry_after: str | None = None) -> Raw:
    """The error body that both providers send, which quotes what it should not."""
    body = {"error": {"code": status, "message": "key AIza-leaked is over its quota", "status": "RESOURCE_EXHAUSTED"}}
    headers = {"content-type": "application/json"} | ({"retry-after": retry_after} if retry_after else {})
    return Raw(status, json.dumps(body).encode(), headers)


class LlmServer:
    """See the module's docstring."""

    def __init__(self, play: Callable[[Request], Play]) -> None:
        self.play = play
        self.requests: list[Request] = []
        self.dropped = 0  # requests whose client left before its answer
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def gemini_url(self) -> str:
        """Base URL for google-genai."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def xai_url(self) -> str:
        """Base URL for the openai client."""
        return f"http://127.0.0.1:{self._port}/v1"

    def of(self, provider: str) -> list[Request]:
        """The requests to one provider."""
        return [request for request in self.requests if request.provider == provider]

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._end(self._runner), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/{version:v1|v1beta}/models/{model}:generateContent", self._gemini)
        app.router.add_post("/v1/chat/completions", self._xai)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert self._runner.addresses
        self._port = self._runner.addresses[0][1]

    async def _end(self, runner: web.AppRunner) -> None:
        """Close, with whatever still hangs."""
        await runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _gemini(self, request: web.Request) -> web.StreamResponse:
        return await self._answer("gemini", request, _gemini_reply, _GEMINI_REFUSAL)

    async def _xai(self, request: web.Request) -> web.StreamResponse:
        return await self._answer("grok", request, _xai_reply, _XAI_REFUSAL)

    async def _answer(
        self,
        provider: str,
        request: web.Request,
        shape: Callable[[str, tuple[int, int] | None], object],
        refusal: object,
    ) -> web.StreamResponse:
        seen = Request(provider, request.path, dict(request.headers), await request.json())
        self.requests.append(seen)
        play = self.play(seen)
        if isinstance(play, Say):
            return await self._say(request, play, json.dumps(shape(play.text, play.tokens)).encode())
        if isinstance(play, Refuse):
            return web.json_response(refusal)
        if isinstance(play, Raw):
            return web.Response(status=play.status, body=play.body, headers=play.headers)
        if isinstance(play, Hang):
            await self._hang()
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _hang(self) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.dropped += 1
            raise

    async def _say(self, request: web.Request, play: Say, body: bytes) -> web.StreamResponse:
        await asyncio.sleep(play.delay_s)
        if not play.drip_s:
            return web.Response(body=body, content_type="application/json")
        response = web.StreamResponse(headers={"content-type": "application/json", "content-length": str(len(body))})
        await response.prepare(request)
        for at in range(0, len(body), 8):
            await asyncio.sleep(play.drip_s)
            try:
                await response.write(body[at : at + 8])
            except ConnectionError:
                self.dropped += 1
                break
        return response


def _gemini_reply(text: str, tokens: tuple[int, int] | None) -> object:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP", "index": 0}
    reply: dict[str, Any] = {"candidates": [candidate], "modelVersion": "gemini-test"}
    if tokens:
        reply["usageMetadata"] = {"promptTokenCount": tokens[0], "candidatesTokenCount": tokens[1]}
    return reply


def _xai_reply(text: str | None, tokens: tuple[int, int] | None, refusal: str | None = None) -> object:
    message = {"role": "assistant", "content": text, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    reply: dict[str, Any] = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "grok-test"}
    if tokens:
        reply["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return reply | {"choices": [choice]}


_GEMINI_REFUSAL = {"candidates": [], "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
_XAI_REFUSAL = _xai_reply(None, (900, 9), "I cannot help with that.")
