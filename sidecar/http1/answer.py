"""An answer on its way in: what has arrived, and whoever waits for more."""

import asyncio
from typing import Protocol

MOST_HELD_BYTES = 128 << 10
"""What nobody has taken yet: beyond it the peer has to wait."""


class Line(Protocol):
    """The connection that an answer comes over."""

    def hold_back(self) -> None:
        """Read no more for now."""
        ...

    def go_on(self) -> None: ...

    def drop(self) -> None:
        """Close it at once."""
        ...


class Answer:
    """Filled by a connection, emptied by one reader."""

    __slots__ = ("_broken", "_failed", "_held", "_is_held_back", "_line", "_loop", "_pieces", "_waiter", "ended",
                 "has_head", "headers", "status")  # fmt: skip

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        """Lower-case names; of several with one name the last."""
        self.has_head = False
        self.ended = False
        """The whole body has arrived."""
        self._line = line
        self._loop = loop
        self._pieces: list[bytes] = []
        self._held = 0
        self._is_held_back = False
        self._broken: Exception | None = None
        self._failed: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def has_more(self) -> bool:
        """Something has arrived that nobody has taken yet."""
        return bool(self._pieces)

    async def head(self) -> None:
        """Until status and headers are there. Raises Lost."""
        while not self.has_head:
            if self._broken is not None:
                raise self._broken
            await self._arrival()

    async def chunk(self) -> bytes:
        """What has arrived, or waits for more; empty at the end. Raises Lost, or what `fail` was given."""
        while True:
            if self._failed is not None:
                raise self._failed
            if self._pieces:
                return self._take()
            if self.ended:
                return b""
            if self._broken is not None:
                raise self._broken
            await self._arrival()

    def fail(self, error: Exception) -> None:
        """The `chunk` that waits, or the next one, raises this."""
        self._failed = error
        self.wake()

    def close(self) -> None:
        if not self.ended:
            self._line.drop()

    def feed(self, body: bytes) -> None:
        self._pieces.append(body)
        self._held += len(body)
        if self._held > MOST_HELD_BYTES and not self._is_held_back:
            self._is_held_back = True
            self._line.hold_back()

    def break_off(self, error: Exception) -> None:
        """No more comes; what has arrived can still be taken."""
        self._broken = error
        self.wake()

    def wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _arrival(self) -> None:
        self._waiter = self._loop.create_future()
        await self._waiter

    def _take(self) -> bytes:
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces, self._held = [], 0
        if self._is_held_back:
            self._is_held_back = False
            if not self.ended:
                self._line.go_on()
        return body
