"""Requests to providers over `aiohttp.ClientSession`. Network failures become our error classes, by a table."""

import asyncio
from collections.abc import AsyncIterable, Mapping

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from sidecar.errors import ConnectionLost, StreamCut, Unreachable, UpstreamError
from sidecar.http1.place import Place
from sidecar.providers.client import DEFAULT_HEADERS, DNS_SECONDS, KEEPALIVE_SECONDS, MAX_ANSWER_BYTES

_BEFORE_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorDNSError,
    aiohttp.ClientSSLError,
    aiohttp.ConnectionTimeoutError,
    ValueError,  # a host name that cannot be looked up, a key that no header can hold
)


def failure_of(error: Exception, provider: str) -> UpstreamError:
    """A network exception, before the answer's headers came, as the class that decides what happens next."""
    if isinstance(error, _BEFORE_SENT):
        return Unreachable(f"{provider} cannot be reached: {_plainly(error)}")
    return ConnectionLost(f"{provider} closed the connection before answering: {_plainly(error)}")


def _plainly(error: Exception) -> str:
    """Never the exception's own text as it stands: some carry the whole URL."""
    cause = getattr(error, "os_error", None)
    if isinstance(cause, OSError):
        return cause.strerror or type(cause).__name__
    return type(error).__name__


def _take_note(lost: asyncio.Future[None]) -> None:
    """A connection may be lost while nobody uses it; asyncio logs an exception that nobody has looked at."""
    lost.exception()


class AiohttpAnswer:
    """An `UpstreamAnswer` over aiohttp's response."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._lost = None if response.connection is None else response.connection.protocol.closed  # type: ignore[union-attr]
        if self._lost is not None:
            self._lost.remove_done_callback(_take_note)  # an earlier answer's on this connection
            self._lost.add_done_callback(_take_note)
            self._lost.add_done_callback(self._note_loss)

    async def read(self) -> bytes:
        try:
            body = bytearray()
            while data := await self._response.content.readany():
                body += data
                if len(body) > MAX_ANSWER_BYTES:
                    raise ConnectionLost(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLost(f"the connection broke inside the answer: {_plainly(error)}") from error
        return bytes(body)

    async def chunk(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise StreamCut(f"the connection broke inside the stream: {_plainly(error)}") from error

    def fail(self, error: Exception) -> None:
        self._response.content.set_exception(error)

    def close(self) -> None:
        if self._lost is not None:
            self._lost.remove_done_callback(self._note_loss)
        self._response.close()

    def _note_loss(self, _: asyncio.Future[None]) -> None:
        """A body whose chunked framing breaks closes its connection, and aiohttp does not tell whoever reads it."""
        content = self._response.content
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the body is not framed as HTTP says"))


class AiohttpClient:
    """An `HttpClient`: one session for the life of the process."""

    def __init__(self, *, trust_env: bool = False, resolver: AbstractResolver | None = None) -> None:
        """
        Args:
            trust_env: the proxy that HTTPS_PROXY and its like name is asked.
            resolver: None is the system's.
        """
        self._time_outs: dict[float, aiohttp.ClientTimeout] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=KEEPALIVE_SECONDS, ttl_dns_cache=DNS_SECONDS, resolver=resolver
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=trust_env,
            headers=DEFAULT_HEADERS,
        )

    async def request(
        self,
        provider: str,
        method: str,
        place: Place,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        connect_seconds: float,
    ) -> AiohttpAnswer:
        try:
            response = await self._session.request(
                method,
                URL(place.url, encoded=True),
                data=body or None,
                headers=headers,
                timeout=self._time_out(connect_seconds),
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, asyncio.TimeoutError) and not isinstance(error, aiohttp.ClientError):
                raise
            raise failure_of(error, provider) from error
        return AiohttpAnswer(response)

    def _time_out(self, connect_seconds: float) -> aiohttp.ClientTimeout:
        if connect_seconds not in self._time_outs:
            # Everything past the connection is bounded by the pipeline: deadline, first token, stream idle.
            self._time_outs[connect_seconds] = aiohttp.ClientTimeout(
                total=None, connect=connect_seconds, sock_connect=connect_seconds, sock_read=None
            )
        return self._time_outs[connect_seconds]

    async def close(self) -> None:
        await self._session.close()
