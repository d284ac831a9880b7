"""One connection: a request out, its answer in, and then perhaps the next. Framing is llhttp's, by httptools."""

import asyncio
from collections.abc import AsyncIterable, Callable, Mapping
from functools import lru_cache
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from sidecar.http1.answer import Answer
from sidecar.http1.errors import Lost
from sidecar.http1.head import MOST_JOINED_BYTES

MAX_HEAD_BYTES = 64 << 10
"""Of status line and headers, and of trailers: common servers send a tenth of it; more means a peer gone wrong."""

_LARGE = f"headers of more than {MAX_HEAD_BYTES} bytes"

SWITCHING = 101
"""Nobody asked for another protocol."""

Free = Callable[["Connection"], None]


class Connection(asyncio.Protocol):
    """`free` is told when it can take the next request, and `gone` when it cannot any more."""

    def __init__(self, free: Free, gone: Free) -> None:
        self._free = free
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._parser = _new_parser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._sender: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_head_only = False
        self._is_sent = False
        """The whole request has left, or waits in the transport's buffer."""
        self._is_interim = False
        """The message that arrives is a 1xx: the answer follows it."""
        self._is_framed = False
        """The answer says where it ends; otherwise the end of the connection is its end."""
        self._is_whole = False
        self._is_kept = False
        """The peer will take another request after this one."""
        self._has_surplus = False
        self._is_held_back = False
        self._bare_bytes = 0
        """What has come since the last piece of a body, or since the request."""
        self.idle_since = 0.0
        """Kept by whoever keeps it."""

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, method: str, head: bytes, body: bytes | AsyncIterable[bytes], length: int | None) -> Answer:
        """Send a request and wait for the answer's headers. A cancelled wait closes the connection.

        Args:
            length: of a body that is still arriving; None: it goes out in chunks.

        Raises:
            Lost: no answer's headers came.
        """
        transport = self._transport
        if transport is None:
            raise Lost("closed", is_unanswered=True)
        answer = self._begin(method)
        try:
            if not isinstance(body, bytes):
                self._sender = self._loop.create_task(self._send_arriving(transport, head, body, length))
            else:
                self._is_sent = True
                if len(body) <= MOST_JOINED_BYTES:
                    transport.write(head + body)
                else:
                    transport.writelines((head, body))
            await answer.head()
        except BaseException:
            self.drop()
            raise
        return answer

    def drop(self) -> None:
        """Close it at once; whoever waits for an answer is told."""
        if self._sender is not None:
            self._sender.cancel()
        if self._transport is not None:
            self._transport.abort()

    def hold_back(self) -> None:
        self._is_held_back = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def go_on(self) -> None:
        self._is_held_back = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._sender is not None:
            self._sender.cancel()
        self._gone(self)
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if answer.has_head and not self._is_framed and error is None:
            answer.ended = True
            answer.wake()
            return
        why = type(error).__name__ if error is not None else "closed"
        answer.break_off(Lost(why, is_unanswered=not answer.has_head and not self._bare_bytes))

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self.drop()  # nobody asked
            return
        self._bare_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self._is_whole:
                self._break_off(answer, f"not HTTP: {type(error).__name__}")
                return
            self._has_surplus = True
        if self._is_whole:
            self._end(answer)
        elif self._bare_bytes > MAX_HEAD_BYTES:
            self._break_off(answer, _LARGE)
            return
        answer.wake()

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._is_whole:
            self._has_surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        answer = self._answer
        if answer is not None and not answer.has_head:  # trailers come after it
            answer.headers[_lower(name)] = value.decode("utf-8", "surrogateescape").strip(" \t")

    def on_headers_complete(self) -> None:
        answer = self._answer
        assert answer is not None
        if self._is_whole:
            return
        status = self._parser.get_status_code()
        if status < 200:
            if status == SWITCHING:
                raise Lost("another protocol, which nobody asked for")
            answer.headers.clear()
            self._is_interim = True
            return
        if self._bare_bytes > MAX_HEAD_BYTES and _size(answer.headers) > MAX_HEAD_BYTES:
            raise Lost(_LARGE)
        answer.status, answer.has_head = status, True
        self._is_kept = self._parser.should_keep_alive()
        headers = answer.headers
        self._is_framed = "content-length" in headers or "chunked" in headers.get("transfer-encoding", "").lower()
        if self._is_head_only:
            self._is_whole = True

    def on_body(self, body: bytes) -> None:
        if self._answer is not None and not self._is_whole:
            self._bare_bytes = 0
            self._answer.feed(body)

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim = False
        else:
            self._is_whole = True

    def _begin(self, method: str) -> Answer:
        self._answer = answer = Answer(self, self._loop)
        self._is_head_only = method == "HEAD"
        self._is_sent = self._is_interim = self._is_framed = False
        self._is_whole = self._is_kept = self._has_surplus = False
        self._bare_bytes = 0
        return answer

    def _end(self, answer: Answer) -> None:
        """The answer is whole. The connection is kept only where nothing of this exchange is left on it."""
        self._answer = None
        answer.ended = True
        transport = self._transport
        assert transport is not None
        if (
            self._is_sent
            and not self._has_surplus
            and not self._is_head_only
            and self._is_kept
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        ):
            if self._is_held_back:
                self.go_on()
            self._free(self)
        else:
            self.drop()

    def _break_off(self, answer: Answer, why: str) -> None:
        self._answer = None
        answer.break_off(Lost(why))
        self.drop()

    async def _send_arriving(
        self, transport: asyncio.Transport, head: bytes, body: AsyncIterable[bytes], length: int | None
    ) -> None:
        """A failure of the body's source ends the exchange: half a request must not look like a whole one."""
        left = length
        try:
            transport.write(head)
            async for piece in body:
                if left is None:
                    transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n") if piece else ())
                else:
                    left -= len(piece)
                    if left < 0:
                        raise ValueError("a body longer than its length")
                    transport.write(piece)
                if self._drained is not None:
                    await self._drained
            if left:
                raise ValueError("a body shorter than its length")
            if left is None:
                transport.write(b"0\r\n\r\n")
            self._is_sent = True
        except Exception as error:
            if self._answer is not None:
                lost = Lost(f"the request's own body broke off: {type(error).__name__}")
                lost.__cause__ = error
                answer, self._answer = self._answer, None
                answer.break_off(lost)
            transport.abort()


def _new_parser(connection: Connection) -> HttpResponseParser:
    parser = HttpResponseParser(connection)
    # What servers are known to send; aiohttp's client takes it as well.
    parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True)
    return parser


def _size(headers: Mapping[str, str]) -> int:
    return sum(len(name) + len(value) for name, value in headers.items())


@lru_cache(maxsize=1024)
def _lower(name: bytes) -> str:
    return name.decode("latin-1").lower()
