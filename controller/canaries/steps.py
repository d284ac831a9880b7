"""Looks at each canary's step again and again, and moves it: up its ladder, back, or nowhere.

What to do is decided by `controller.evals.canary`; this asks the ledger and the clock, and tells the publisher. Several
controllers may look at one ledger: each move is made only where the canary is still as it was when it was judged.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from sqlalchemy import Connection

from controller import logs
from controller.canaries.moves import Step, follow_rules, move
from controller.canaries.state import Canary, advanced, ended, halted
from controller.channel import Channel, NotPossible
from controller.errors import ForeignKey, LedgerUnavailable
from controller.evals.canary import Climb, GiveUp, Halt, TakeBack, Verdict, verdict
from controller.evals.canary_figures import Figures
from controller.ledger.canary import figures_of
from controller.publish import Publisher

LOOK_SECONDS: Final = 2.0
SHARE_OF_TIME: Final = 0.05
"""That looking may take: a long step of a busy use case is looked at less often."""


class Books(Protocol):
    """`controller.ledger.store.Ledger`."""

    def read(self, look: Callable[[Connection], Figures]) -> Figures: ...


class CanarySteps:
    def __init__(
        self, publisher: Publisher, books: Books, *, now: Callable[[], float], look_seconds: float = LOOK_SECONDS
    ) -> None:
        """`now` gives seconds since the epoch."""
        self._publisher = publisher
        self._books = books
        self._now = now
        self._look_seconds = look_seconds
        self._told_not_saved = ""
        self.waits_for: Mapping[str, str] = {}
        """What each canary's step still lacks, by use case, for people."""

    async def run(self) -> None:
        """Never returns by itself."""
        took = 0.0
        while True:
            await self._news_or(max(self._look_seconds, took / SHARE_OF_TIME))
            began = time.monotonic()
            try:
                await self.look()
                self._told_not_saved = ""
            except (OSError, LedgerUnavailable, ForeignKey) as error:
                self._note_not_saved(f"{error}")
            except NotPossible:
                continue  # nothing runs yet
            except Exception as bug:
                logs.bug("canary.failed", bug)  # it stays where it is; the next look may fare better
            took = time.monotonic() - began

    async def _news_or(self, seconds: float) -> None:
        """Until something else runs, or so long."""
        current = self._publisher.current
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if await self._publisher.newer_than("" if current is None else current.event_id) is None:
                    await asyncio.sleep(seconds)  # the program ends

    def _note_not_saved(self, error: str) -> None:
        if error != self._told_not_saved:  # once, not at every look
            self._told_not_saved = error
            logs.warn("canary.not_saved", error=error)

    async def look(self) -> None:
        """Takes up what the rules say, judges every canary that is under way, and moves it."""
        now = self._now()
        if follow_rules(self._publisher.channel, now=now) != self._publisher.channel:
            await self._publisher.change(lambda channel: follow_rules(channel, now=now))
        waits_for = {}
        for canary in self._publisher.channel.canaries:
            if canary.is_judged and (lacks := await self._judge(canary)):
                waits_for[canary.use_case] = lacks
        self.waits_for = waits_for

    async def _judge(self, canary: Canary) -> str:
        """What the step still lacks; empty where it is over."""
        try:
            figures = await asyncio.to_thread(self._books.read, lambda connection: figures_of(connection, canary))
        except LedgerUnavailable as error:
            return f"the ledger: {error}"
        decided = verdict(canary.terms, canary.percent, figures)
        if canary.state == "halted" and not isinstance(decided, TakeBack):
            return "a person: its figures cannot be trusted"
        step = _step_after(decided, self._now())
        if step is None:
            return getattr(decided, "waits_for", "")

        def held_by(channel: Channel) -> str:
            return _climb_waits_for(channel, canary) if isinstance(decided, Climb) else ""

        if lacks := held_by(self._publisher.channel):
            return lacks
        await self._move(canary, step, held_by)
        return ""

    async def _move(self, canary: Canary, step: Step, held_by: Callable[[Channel], str]) -> None:
        moved = False

        def change(channel: Channel) -> Channel:
            nonlocal moved
            after = channel if held_by(channel) else move(channel, canary, step)
            moved = after is not channel
            return after

        await self._publisher.change(change)
        if not moved:
            return
        after = step(canary)
        tell = logs.event if after.state in ("running", "promoted") else logs.warn
        tell(f"canary.{after.state}", use_case=after.use_case, model=after.model, percent=f"{after.percent:f}",
             reason=after.reason)  # fmt: skip


def _climb_waits_for(channel: Channel, canary: Canary) -> str:
    if canary.next_percent is None:
        return "nothing: it is on the last rung of its ladder, and not worse"
    if channel.suspended is not None:
        return "resume: the rollout is suspended"
    return "unpin: a bundle is pinned" if channel.pin is not None else ""


def _step_after(decided: Verdict, now: float) -> Step | None:
    if isinstance(decided, Climb):
        return lambda canary: advanced(canary, decided.reason, now=now)
    if isinstance(decided, TakeBack):
        return lambda canary: ended(canary, "rolled_back", decided.reason, now=now)
    if isinstance(decided, GiveUp):
        return lambda canary: ended(canary, "inconclusive", decided.reason, now=now)
    if isinstance(decided, Halt):
        return lambda canary: halted(canary, decided.reason, now=now)
    return None
