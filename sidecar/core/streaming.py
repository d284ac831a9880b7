"""The rest of a stream after its commit point: bytes on to the caller, one watchdog, one way into the books.

After the first byte there is no second target: a failure becomes the dialect's own error event, and no end mark.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from sidecar.accounting.books import CLIENT_CLOSED, OK
from sidecar.core.call import Write
from sidecar.dialects.base import Tap
from sidecar.errors import DeadlineExceeded, GatewayError, NotReady, StreamStalled, UpstreamError
from sidecar.ports import Clock, Timer, UpstreamAnswer

STUCK_CALLER_SECONDS = 60.0
"""A caller that has taken nothing for this long has gone, whatever its socket says."""

Resume = Callable[[UpstreamError, int], Awaitable[tuple[UpstreamAnswer, bytes] | None]]
"""How the stream failed and how many events the caller has → what goes on in its place, with its first bytes; None:
nothing does."""

EVENT = b"data: "
"""Stands once in every event of every dialect; what stands in a JSON string beside it is not worth parsing for."""


class Stream:
    """A `StreamReply`. `settle` is called exactly once, before the caller gets its last bytes."""

    def __init__(
        self,
        *,
        status: int,
        headers: Mapping[str, str],
        content_type: str,
        clock: Clock,
        answer: UpstreamAnswer,
        tap: Tap,
        held: bytes,
        idle_seconds: float,
        deadline: float,
        settle: Callable[[str, int], None],
        encode_error: Callable[[GatewayError], bytes],
        resume: Resume | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.content_type = content_type
        self.after: Callable[[], None] | None = None
        self._clock = clock
        self._answer = answer
        self._tap = tap
        self._held = held
        self._idle_seconds = idle_seconds
        self._deadline = deadline
        self._settle = settle
        self._encode_error = encode_error
        self._resume = resume
        self._settled = False
        self._unsent = b""
        self._events_seen = 0
        self._reading_since: float | None = None
        self._writing_since: float | None = None
        self._timer: Timer | None = None
        self._task: asyncio.Task[object] | None = None

    async def pump(self, write: Write) -> None:
        self._task = asyncio.current_task()
        self._watch()
        try:
            await self._pass_on(write)
        except (asyncio.CancelledError, ConnectionError):
            self._book(OK if self._tap.finished else CLIENT_CLOSED)
            raise
        except Exception:
            # A bug of ours; the edge logs it. What was begun is booked all the same.
            self._book(GatewayError.code)
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._answer.close()

    def end(self, error: GatewayError) -> None:
        """We end it: the read that waits, or the next one, raises this."""
        self._answer.fail(error)

    async def _pass_on(self, write: Write) -> None:
        out = self._held
        while True:
            try:
                out = await self._until_ended(out, write)
                break
            except (UpstreamError, NotReady) as error:
                if self._tap.finished:
                    # A finish reason was seen: the answer is whole, however its connection ended.
                    out = self._unsent + self._tap.finish()
                    break
                await self._hand_over(self._unsent, write)
                resumed = await self._go_on(error)
                if resumed is None:
                    self._book(error.code)
                    await self._hand_over(self._encode_error(error), write)
                    return
                out = resumed
        self._book(OK, out)
        await self._hand_over(out, write)

    async def _until_ended(self, out: bytes, write: Write) -> bytes:
        """The last bytes, not yet handed over. Raises as tap and connection fail; `_unsent` is what was left then."""
        while True:
            self._unsent = out
            if self._tap.failed is not None:
                raise self._tap.failed
            if self._tap.ended:
                return out
            await self._hand_over(out, write)
            self._unsent = b""
            data = await self._read()
            if data:
                out = self._tap.feed(data)
                continue
            self._unsent = out = self._tap.finish()
            if self._tap.failed is not None:
                raise self._tap.failed
            return out

    async def _go_on(self, error: GatewayError) -> bytes | None:
        """The first bytes of what another target says from here on; None where the stream ends here."""
        if self._resume is None or not isinstance(error, UpstreamError):
            return None
        resumed = await self._resume(error, self._events_seen)
        if resumed is None:
            return None
        self._answer.close()
        self._answer, held = resumed
        return held

    async def _read(self) -> bytes:
        self._reading_since = self._clock.monotonic()
        try:
            return await self._answer.chunk()
        finally:
            self._reading_since = None

    async def _hand_over(self, out: bytes, write: Write) -> None:
        if not out:
            return
        self._events_seen += out.count(EVENT)
        self._writing_since = self._clock.monotonic()
        await write(out)
        self._writing_since = None

    def _book(self, word: str, last: bytes = b"") -> None:
        """`last` reaches the caller after the books are closed, and counts as well."""
        if not self._settled:
            self._settled = True
            self._settle(word, self._events_seen + last.count(EVENT))

    def _watch(self) -> None:
        """One timer for the whole stream, moved by what it finds rather than by every chunk."""
        now = self._clock.monotonic()
        waits = [self._idle_seconds, STUCK_CALLER_SECONDS]
        if now >= self._deadline:
            self._answer.fail(DeadlineExceeded("the call's deadline ran out inside the stream"))
        else:
            waits.append(self._deadline - now)
        if self._reading_since is not None:
            left = self._reading_since + self._idle_seconds - now
            if left <= 0:
                self._answer.fail(StreamStalled(f"the provider sent nothing for {self._idle_seconds:g} s"))
            else:
                waits.append(left)
        if self._writing_since is not None:
            left = self._writing_since + STUCK_CALLER_SECONDS - now
            if left <= 0:
                assert self._task is not None
                self._task.cancel()
                return
            waits.append(left)
        self._timer = self._clock.call_later(max(min(waits), 0.001), self._watch)
