"""The client: kept connections per origin, the newest first, and a new one where there is none."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Mapping

from aiohttp.abc import AbstractResolver

from sidecar.http1.answer import Answer
from sidecar.http1.connection import Connection
from sidecar.http1.errors import Lost
from sidecar.http1.head import encode_head
from sidecar.http1.opening import Opener
from sidecar.http1.place import Origin, Place
from sidecar.ports import Clock, Timer

MOST_IDLE = 512
"""Kept per origin. Open ones are not bounded here: that is what a provider's `concurrency` limit is for."""

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""May be sent twice (RFC 9110, 9.2.2)."""


class Pool:
    """Connections outlive the requests and the rules that they were opened for."""

    def __init__(
        self,
        clock: Clock,
        *,
        defaults: Mapping[str, str],
        idle_seconds: float,
        names_seconds: float,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """
        Args:
            defaults: headers of every request that does not say otherwise; lower-case names.
            idle_seconds: how long a connection is kept unused.
            names_seconds: how long a looked-up address is used.
            resolver: None is the system's.
        """
        self._clock = clock
        self._defaults = defaults
        self._idle_seconds = idle_seconds
        self._opener = Opener(clock, names_seconds=names_seconds, resolver=resolver)
        self._idle: dict[Origin, deque[Connection]] = {}
        """The longest unused first."""
        self._open: set[Connection] = set()
        self._sweep: Timer | None = None

    async def request(
        self,
        method: str,
        place: Place,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        connect_seconds: float,
    ) -> Answer:
        """An answer whose headers have come.

        A body that is still arriving has the length that `content-length` says, or goes out in chunks.

        Raises:
            NotReached: no connection.
            Lost: no answer.
            ValueError: a header that cannot be sent.
        """
        length = len(body) if isinstance(body, bytes) else _length_of(headers)
        head = encode_head(method, place, self._defaults, headers, length)
        kept = self._take(place.origin)
        if kept is not None:
            try:
                return await kept.ask(method, head, body, length)
            except Lost as lost:
                # It was closed while it lay idle, or as this request arrived: nobody knows which.
                if not lost.is_unanswered or method not in IDEMPOTENT or not isinstance(body, bytes):
                    raise
        connection = await self._connect(place.origin, connect_seconds)
        return await connection.ask(method, head, body, length)

    async def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in tuple(self._open):
            connection.drop()
        await self._opener.close()
        await asyncio.sleep(0)  # a dropped connection is gone in the loop's next turn

    def _take(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_open and self._clock.monotonic() - connection.idle_since < self._idle_seconds:
                return connection
            connection.drop()
        return None

    async def _connect(self, origin: Origin, seconds: float) -> Connection:
        idle = self._idle.setdefault(origin, deque())

        def keep(connection: Connection) -> None:
            connection.idle_since = self._clock.monotonic()
            idle.append(connection)
            if len(idle) > MOST_IDLE:
                idle.popleft().drop()
            if self._sweep is None:
                self._sweep = self._clock.call_later(self._idle_seconds, self._sweep_idle)

        def forget(connection: Connection) -> None:
            self._open.discard(connection)
            if connection in idle:
                idle.remove(connection)

        made = await self._opener.open(origin, lambda: Connection(keep, forget), seconds)
        assert isinstance(made, Connection)
        self._open.add(made)
        return made

    def _sweep_idle(self) -> None:
        """Closes what lay unused for too long; again as long as anything lies there."""
        self._sweep = None
        horizon = self._clock.monotonic() - self._idle_seconds
        idle = [connection for connections in self._idle.values() for connection in connections]
        stale = [connection for connection in idle if connection.idle_since <= horizon]
        for connection in stale:
            connection.drop()
        if len(stale) < len(idle):
            self._sweep = self._clock.call_later(self._idle_seconds, self._sweep_idle)


def _length_of(headers: Mapping[str, str]) -> int | None:
    said = next((value for name, value in headers.items() if name.lower() == "content-length"), None)
    return None if said is None else int(said)
