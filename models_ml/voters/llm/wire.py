"""The wire under both libraries: one HTTP client with a cap, and what its failures mean."""

from collections.abc import AsyncIterator

import httpx2

from models_ml.voters.llm.answers import ANSWER_LENGTH
from models_ml.voters.llm.client import NoReply
from models_ml.votes import AbstainReason

REPLY_BYTES = 64 * 1024
"""The most that is read of any reply of a provider, envelope and error pages included."""
TOO_MANY = 429
LONGEST_REST_S = 3600.0
"""However long a provider asks to be left alone, it is tried again after an hour."""


def http_client() -> httpx2.AsyncClient:
    """The HTTP client under both libraries: no redirects, no compression, no reply over `REPLY_BYTES`.

    It has no time-outs of its own: whoever asks cancels at the deadline, and a slow drip does not put it off.
    """
    return httpx2.AsyncClient(transport=_Capped(), timeout=None, headers={"accept-encoding": "identity"})


class Overlong(httpx2.TransportError):
    """A reply that is longer than anything we asked for, or is packed so that its length cannot be told."""


class _Capped(httpx2.AsyncHTTPTransport):
    """Stops reading where a reply grows past the cap."""

    def __init__(self) -> None:
        super().__init__(limits=httpx2.Limits(max_connections=128, max_keepalive_connections=64))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise Overlong("a packed reply that was not asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101  # an async transport's stream is one
        response.stream = _CappedStream(response.stream)
        return response


class _CappedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for part in self._stream:
            seen += len(part)
            if seen > REPLY_BYTES:
                raise Overlong(f"more than {REPLY_BYTES} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


def failure_of(error: Exception, status: int | None, headers: httpx2.Headers | None) -> NoReply:
    """What an error of a client library means for the vote. Its text is dropped: it may quote keys and prompts."""
    if _has_cause(error, Overlong):
        return NoReply(AbstainReason.BAD_ANSWER, "overlong reply")
    if status == TOO_MANY:
        return NoReply(AbstainReason.RATE_LIMITED, "status 429", retry_after(headers))
    if status == 503 and headers is not None and "retry-after" in headers:
        return NoReply(AbstainReason.FAILED, "status 503", retry_after(headers))
    return NoReply(AbstainReason.FAILED, f"status {status}" if status else type(error).__name__)


def retry_after(headers: httpx2.Headers | None) -> float | None:
    """Seconds that `Retry-After` asks for, at most an hour; None without one that is a number of seconds."""
    word = "" if headers is None else headers.get("retry-after", "")
    return min(float(word), LONGEST_REST_S) if word.isascii() and word.isdigit() and len(word) < 12 else None


def text_of(text: object) -> str:
    """The answer's text; an empty one is no answer, and what is over the cap is not carried around."""
    if not isinstance(text, str) or not text.strip():
        raise NoReply(AbstainReason.BAD_ANSWER, "empty answer")
    return text[: ANSWER_LENGTH + 1]


def _has_cause(error: BaseException | None, kind: type[Exception]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False
