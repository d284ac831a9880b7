"""A race of two attempts: the second begins when the first has shown nothing for a while, and the faster one answers.

The loser is cancelled at once, and what its provider may bill for it is on the record.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeAlias

from sidecar.accounting.books import maybe_billed
from sidecar.core.attempt import Won, close
from sidecar.core.bookkeeping import Bookkeeper
from sidecar.core.call import Attempt, Call
from sidecar.errors import UpstreamError
from sidecar.ports import Clock

Make: TypeAlias = Callable[[Attempt], Coroutine[None, None, Won]]


class Race:
    """Of one call."""

    def __init__(self, call: Call, clock: Clock, books: Bookkeeper, make: Make) -> None:
        self._call = call
        self._clock = clock
        self._books = books
        self._make = make
        self._running: dict[asyncio.Task[Won], Attempt] = {}

    async def run(
        self, first: Attempt, after_seconds: float, start_second: Callable[[], Coroutine[None, None, Attempt | None]]
    ) -> tuple[Attempt, Won]:
        """The attempt that answers, with what it has in hand; every other one has ended and is noted.

        Args:
            start_second: called when the first is late; None: there shall be no second.

        Raises:
            UpstreamError: the last of those that failed; all are noted.
            Exception: anything else that one raised; that one is not noted.
        """
        self._enter(first)
        try:
            if not await self._first_content(after_seconds) and (second := await start_second()) is not None:
                self._enter(second)
            return await self._winner()
        except asyncio.CancelledError:
            await self._end_all()
            raise
        except Exception:
            await self._lose_the_others(None)
            raise

    def _enter(self, attempt: Attempt) -> None:
        self._running[asyncio.ensure_future(self._make(attempt))] = attempt

    async def _first_content(self, seconds: float) -> bool:
        """Whether the first attempt ended, well or badly, in this time."""
        bell = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait([*self._running, bell], return_when=asyncio.FIRST_COMPLETED)
            return not bell.done()
        finally:
            bell.cancel()

    async def _winner(self) -> tuple[Attempt, Won]:
        while True:
            done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda task: self._running[task].number):
                failure = task.exception()
                if failure is None:
                    await self._lose_the_others(task)
                    return self._running.pop(task), task.result()
                attempt = self._running.pop(task)
                if not isinstance(failure, UpstreamError):
                    raise failure
                self._books.note_failure(self._call, attempt, failure, maybe_billed(self._call, attempt, failure))
                if not self._running:
                    raise failure

    async def _lose_the_others(self, winner: "asyncio.Task[Won] | None") -> None:
        for task in [task for task in self._running if task is not winner]:
            failure = await _ended(task)
            attempt = self._running.pop(task)
            if isinstance(failure, UpstreamError):
                self._books.note_failure(self._call, attempt, failure, maybe_billed(self._call, attempt, failure))
            else:
                self._books.note_loss(self._call, attempt)

    async def _end_all(self) -> None:
        """The caller left; its books are another's."""
        tasks = list(self._running)
        self._running.clear()
        for task in tasks:
            await _ended(task)


async def _ended(task: "asyncio.Task[Won]") -> BaseException | None:
    """Cancel a task and wait until it is over; what it may have won meanwhile is closed. How it failed, if it did."""
    task.cancel()
    await asyncio.wait([task])
    if task.cancelled():
        return None
    failure = task.exception()
    if failure is None:
        close(task.result())
    return failure
