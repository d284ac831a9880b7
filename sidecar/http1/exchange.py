"""One plain request and its answer, as a handler has them in hand."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from sidecar.http1.head import MOST_JOINED_BYTES, encode_answer_head
from sidecar.http1.plain import PlainHead


class Line(Protocol):
    """The connection that an exchange is held over."""

    room: "asyncio.Future[None] | None"
    """Where there is none: comes when there is some again."""

    def write(self, data: bytes) -> None:
        """Raises ConnectionResetError: whoever asked has left."""
        ...

    def now(self) -> float:
        """Unix seconds."""
        ...


class Exchange:
    """Filled by a connection, answered by one handler: whole, or piece by piece."""

    __slots__ = ("_left", "_line", "_loop", "_pieces", "_stream_head", "_waiter", "headers", "is_begun", "is_ended",
                 "is_kept", "path", "query")  # fmt: skip

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop, head: PlainHead) -> None:
        self.path, self.query = head.path, head.query
        self.headers: Mapping[str, str] = head.headers
        """Lower-case names."""
        self.is_begun = False
        """Something of the answer has left, or waits to."""
        self.is_ended = False
        """All of the answer has."""
        self.is_kept = head.is_kept
        """The connection may be used again."""
        self._left = head.length
        self._pieces: list[bytes] = []
        self._stream_head = b""
        self._line = line
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_over(self) -> bool:
        """Asked and answered to the end: the connection is free for the next one."""
        return self.is_ended and not self._left

    async def body(self) -> bytes:
        """All of it. To be asked for once."""
        if self._left:
            self._waiter = self._loop.create_future()
            await self._waiter
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """All of it. Raises ConnectionResetError; ValueError: a header that cannot be sent."""
        head = encode_answer_head(status, headers, len(body), self._line.now(), is_kept=self.is_kept)
        if len(body) > MOST_JOINED_BYTES:
            self._line.write(head)
            head = b""
        self._ended(head + body)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """An answer in pieces; its head leaves with the first. Raises ValueError: a header that cannot be sent."""
        self._stream_head = encode_answer_head(status, headers, None, self._line.now(), is_kept=self.is_kept)

    async def send(self, piece: bytes) -> None:
        """Waits while the window of whoever asked is full. Raises ConnectionResetError."""
        if not piece:
            return
        head, self._stream_head = self._stream_head, b""
        self.is_begun = True
        self._line.write(b"%b%x\r\n%b\r\n" % (head, len(piece), piece))
        if (room := self._line.room) is not None:
            await room

    def end(self) -> None:
        """After the last piece. Raises ConnectionResetError."""
        self._ended(self._stream_head + b"0\r\n\r\n")

    def feed(self, data: bytes) -> bytes:
        """More of the body; what is over belongs to the next request. Once it is answered, nobody wants the rest."""
        mine, rest = (data, b"") if len(data) <= self._left else (data[: self._left], data[self._left :])
        self._left -= len(mine)
        if mine and not self.is_ended:
            self._pieces.append(mine)
        waiter = self._waiter
        if not self._left and waiter is not None and not waiter.done():
            waiter.set_result(None)
        return rest

    def _ended(self, data: bytes) -> None:
        self.is_begun = self.is_ended = True
        self._pieces.clear()
        self._line.write(data)
