"""Requests to providers over our own client: what breaks below becomes our error classes."""

from collections.abc import AsyncIterable, Mapping

from aiohttp.abc import AbstractResolver

from sidecar.clock import SYSTEM_CLOCK
from sidecar.errors import ConnectionLost, StreamCut, Unreachable
from sidecar.http1.answer import Answer
from sidecar.http1.errors import Lost, NotReached
from sidecar.http1.place import Place
from sidecar.http1.pool import Pool
from sidecar.ports import Clock
from sidecar.providers.client import DEFAULT_HEADERS, DNS_SECONDS, KEEPALIVE_SECONDS, MAX_ANSWER_BYTES


class OwnAnswer:
    """An `UpstreamAnswer` over ours."""

    __slots__ = ("_answer", "headers", "status")

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers

    async def read(self) -> bytes:
        answer = self._answer
        try:
            body = await answer.chunk()
            size = len(body)
            if size <= MAX_ANSWER_BYTES and answer.ended and not answer.has_more:
                return body
            pieces = [body]
            while body:
                if size > MAX_ANSWER_BYTES:
                    raise ConnectionLost(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
                pieces.append(body := await answer.chunk())
                size += len(body)
        except Lost as error:
            raise ConnectionLost(f"the connection broke inside the answer: {error}") from error
        return b"".join(pieces)

    async def chunk(self) -> bytes:
        try:
            return await self._answer.chunk()
        except Lost as error:
            raise StreamCut(f"the connection broke inside the stream: {error}") from error

    def fail(self, error: Exception) -> None:
        self._answer.fail(error)

    def close(self) -> None:
        self._answer.close()


class OwnClient:
    """An `HttpClient`. It speaks to providers directly, and to no proxy."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK, *, resolver: AbstractResolver | None = None) -> None:
        self._pool = Pool(
            clock,
            defaults=DEFAULT_HEADERS,
            idle_seconds=KEEPALIVE_SECONDS,
            names_seconds=DNS_SECONDS,
            resolver=resolver,
        )

    async def request(
        self,
        provider: str,
        method: str,
        place: Place,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        connect_seconds: float,
    ) -> OwnAnswer:
        try:
            return OwnAnswer(await self._pool.request(method, place, headers, body, connect_seconds))
        except NotReached as error:
            raise Unreachable(f"{provider} cannot be reached: {error}") from error
        except ValueError as error:  # a key that no header can hold
            raise Unreachable(f"{provider} cannot be reached: {type(error).__name__}") from error
        except Lost as error:
            raise ConnectionLost(f"{provider} closed the connection before answering: {error}") from error

    async def close(self) -> None:
        await self._pool.close()
