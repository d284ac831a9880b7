"""The upstream client over `aiohttp.ClientSession`. Network failures become our error classes, by a table."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from schemas.bundle import Secret
from schemas.version import VERSION
from sidecar.clock import SYSTEM_CLOCK
from sidecar.errors import ConnectionLost, StreamCut, Unreachable, UpstreamError
from sidecar.ports import Clock, UpstreamAnswer
from sidecar.providers.credentials import Credentials
from sidecar.providers.endpoints import request_headers, take_key
from sidecar.providers.identities import Identities
from sidecar.providers.keys import DEAD, KEY_STATUSES, NOT_FOR_THIS_MODEL, KeyRing
from sidecar.providers.layouts import placed
from sidecar.routing.snapshot import Target

KEEPALIVE_SECONDS = 75.0
"""Warm connections matter more than any other knob; common load balancers close after 60 to 350 s."""

MAX_ANSWER_BYTES = 64 << 20
"""Of a plain answer or an error body: larger means a peer gone wrong."""

_BEFORE_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorDNSError,
    aiohttp.ClientSSLError,
    aiohttp.ConnectionTimeoutError,
    ValueError,  # a host name that cannot be looked up, a key that no header can hold
)


def failure_of(error: Exception, target: Target) -> UpstreamError:
    """A network exception, before the answer's headers came, as the class that decides what happens next."""
    if isinstance(error, _BEFORE_SENT):
        return Unreachable(f"{target.provider} cannot be reached: {_plainly(error)}")
    return ConnectionLost(f"{target.provider} closed the connection before answering: {_plainly(error)}")


def _url(target: Target, path: str) -> URL:
    """Written as it will stand on the wire: that is what gets signed. Raises UpstreamError: it names no host."""
    try:
        return URL(target.endpoint.base_url + path)
    except ValueError as error:
        raise failure_of(error, target) from error


def _plainly(error: Exception) -> str:
    """Never the exception's own text as it stands: some carry the whole URL."""
    cause = getattr(error, "os_error", None)
    if isinstance(cause, OSError):
        return cause.strerror or type(cause).__name__
    return type(error).__name__


def _take_note(lost: asyncio.Future[None]) -> None:
    """A connection may be lost while nobody uses it; asyncio logs an exception that nobody has looked at."""
    lost.exception()


class HttpAnswer:
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


DNS_SECONDS = 30
"""How long a looked-up address is used: a name that moves is followed well within a minute."""


class HttpUpstream:
    """One session, one pool, for the life of the process: connections outlive reloads."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        trust_env: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        resolver: AbstractResolver | None = None,
        connections: int = 0,
    ) -> None:
        """
        Args:
            resolver: None is the system's.
            connections: at once, at most; 0: as many as are needed.
        """
        self._credentials = credentials
        self._clock = clock
        self._ring = KeyRing()
        self._identities = Identities(clock)
        self._time_outs: dict[float, aiohttp.ClientTimeout] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=connections, keepalive_timeout=KEEPALIVE_SECONDS, ttl_dns_cache=DNS_SECONDS, resolver=resolver
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=trust_env,
            headers={"user-agent": f"pointsman/{VERSION}", "accept-encoding": "identity"},
        )

    async def send(
        self, target: Target, path: str, headers: Mapping[str, str], body: bytes, connect_seconds: float
    ) -> UpstreamAnswer:
        place = placed(target, path, {**target.endpoint.headers, **headers}, body)
        url = _url(target, place.path)
        answer = await self._send(target, "POST", url, dict(place.headers), place.body, connect_seconds)
        return answer if place.read is None else place.read(answer)

    async def relay(
        self,
        target: Target,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        connect_seconds: float,
    ) -> HttpAnswer:
        plain = {**target.endpoint.headers, **headers}
        return await self._send(target, method, _url(target, path), plain, body, connect_seconds)

    async def _send(
        self,
        target: Target,
        method: str,
        url: URL,
        plain: dict[str, str],
        body: bytes | AsyncIterable[bytes],
        connect_seconds: float,
    ) -> HttpAnswer:
        endpoint = target.endpoint

        async def ask(shown: Mapping[str, str]) -> HttpAnswer:
            return await self._request(target, method, url, shown, body, connect_seconds)

        async def ask_with(key: str) -> HttpAnswer:
            return await ask(request_headers(endpoint, plain, key))

        if keys := endpoint.keys:
            # What streams is sent once: no second key can follow a refused one.
            return await self._ask_in_turn(target, keys, ask_with, is_held=isinstance(body, bytes))
        if endpoint.caller_key:
            return await ask_with(take_key(plain))
        bare = request_headers(endpoint, plain, None)
        if endpoint.identity is None:
            return await ask(bare)
        held = body if isinstance(body, bytes) else b""
        proof = await self._identities.proof(endpoint.identity, method, str(url), bare, held)
        answer = await ask({**bare, **proof})
        if answer.status in (DEAD, NOT_FOR_THIS_MODEL):
            self._identities.note_refusal(endpoint.identity)
        return answer

    async def _ask_in_turn(
        self,
        target: Target,
        secrets: Sequence[Secret],
        ask: Callable[[str], Awaitable[HttpAnswer]],
        *,
        is_held: bool,
    ) -> HttpAnswer:
        """The first key that is not refused or throttled; each is asked at most once, and the last answer stands.

        Args:
            is_held: the body can be sent again; otherwise one key is asked.
        """
        keys = self._credentials.read_those_there(secrets)
        provider, model, now = target.provider, target.name, self._clock.monotonic()
        answer: HttpAnswer | None = None
        for secret in self._ring.in_turn(provider, tuple(keys)):
            key = keys[secret]
            if self._ring.is_resting(provider, secret, key, model, now):
                continue
            if answer is not None:
                answer.close()
            answer = await ask(key)
            moment, is_only = self._clock.monotonic(), len(secrets) == 1
            self._ring.note(provider, secret, key, model, answer.status, answer.headers, moment, is_only=is_only)
            if answer.status not in KEY_STATUSES or not is_held:
                break
        if answer is None:
            raise self._ring.refusal(provider, keys, model, now)
        return answer

    def keys_resting(self) -> Mapping[str, int]:
        """Provider to how many of its keys rest."""
        return self._ring.resting(self._clock.monotonic())

    async def _request(
        self,
        target: Target,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        connect_seconds: float,
    ) -> HttpAnswer:
        try:
            response = await self._session.request(
                method,
                url,
                data=body or None,
                headers=headers,
                timeout=self._time_out(connect_seconds),
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, asyncio.TimeoutError) and not isinstance(error, aiohttp.ClientError):
                raise
            raise failure_of(error, target) from error
        return HttpAnswer(response)

    def _time_out(self, connect_seconds: float) -> aiohttp.ClientTimeout:
        if connect_seconds not in self._time_outs:
            # Everything past the connection is bounded by the pipeline: deadline, first token, stream idle.
            self._time_outs[connect_seconds] = aiohttp.ClientTimeout(
                total=None, connect=connect_seconds, sock_connect=connect_seconds, sock_read=None
            )
        return self._time_outs[connect_seconds]

    async def close(self) -> None:
        await self._session.close()
