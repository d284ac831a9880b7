"""The calls of a run: each asked once, within what may be spent, and written down; and when to ask no more."""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from controller.evals.run.answers import Answered, cost_of, is_billed
from controller.evals.run.budget import Budget
from controller.evals.run.journal import Journal
from controller.evals.run.sidecar import BrokenOff, ComeAgain, Sidecar, Stop
from schemas.record import Usd

PATIENCE_SECONDS: Final = 600.0
"""A limit that lasts longer ends the run, which goes on when it is started again."""
MOST_BREAKS: Final = 6
"""Connections that may fail for one call, half a minute in all: a sidecar that restarts is back by then."""
FAILURES_IN_A_ROW: Final = 10
"""A model that fails so often is down: its results would say nothing of its answers."""


@dataclass(slots=True)
class Calls:
    """Once it is stopped, calls that are under way end and no new one begins."""

    sidecar: Sidecar
    journal: Journal
    budget: Budget
    stopped: str = ""
    """Why; empty while it goes on."""
    _room: asyncio.Condition = field(default_factory=asyncio.Condition)
    """Notified whenever a call has ended."""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _failures: Counter[str] = field(default_factory=Counter)
    """In a row, by model."""

    def stop(self, reason: str) -> None:
        self.stopped = self.stopped or reason
        self._stopping.set()

    def raise_if_stopped(self) -> None:
        if self.stopped:
            raise Stop(self.stopped)

    async def settle(self) -> None:
        """Finds in the gateway's ledger what calls without an answer have cost. None may be under way.

        Raises:
            Stop: the sidecar does not say.
        """
        lost, known = dict(self.journal.open), self.journal.known_ids
        records = [record for record in await self.sidecar.calls() if record.id not in known and is_billed(record)]
        paid: list[tuple[str, Usd | None]] = [(record.model, cost_of(record)) for record in records]
        # The rest was asked of a sidecar that has forgotten it, or that it never reached.
        paid += [(model, None) for _, model in list(lost.values())[len(records) :]]
        if lost or records:
            self.journal.lose(lost, [record.id for record in records], paid)

    def count_earlier_costs(self) -> None:
        for model, usd in self.journal.paid:
            self.budget.begin(model)
            self.budget.end(model, usd)
        for model, usd in self.journal.lost:
            self.budget.spent_usd += usd or self.budget.highest_usd.get(model, Usd(0))

    async def ask(self, key: str, target: str, body: bytes) -> Answered:
        """What was answered under this key, now or in an earlier run.

        Raises:
            Stop: no more calls are to be made.
        """
        known = self.journal.answered.get(key)
        if known is not None:
            return known
        await self._wait_for_room(target)
        number, cost = self.journal.ask(key, target), None
        try:
            answered = await self._until_answered(target, body)
            self.journal.end(number, answered)
            cost = answered.cost_usd
        except Stop:
            self.journal.refuse(number)
            raise
        finally:
            self.budget.end(target, cost)
            async with self._room:
                self._room.notify_all()
        self._look_at(target, answered)
        return answered

    async def _wait_for_room(self, target: str) -> None:
        async with self._room:
            while not self.budget.fits(target):
                self.raise_if_stopped()
                if not self.budget.open.total():
                    spent = f"${self.budget.spent_usd:f} of the budget of ${self.budget.limit_usd:f} are spent"
                    raise Stop(f"{spent}, and one more call of {target} could pass it; go on with a higher --budget")
                await self._room.wait()
            self.raise_if_stopped()
            self.budget.begin(target)

    async def _until_answered(self, target: str, body: bytes) -> Answered:
        waited, breaks = 0.0, 0
        while True:
            found = await self.sidecar.ask(target, body)
            match found:
                case Answered():
                    return found
                case ComeAgain(why, seconds):
                    seconds = seconds or min(30.0, 1.0 + waited)
                    waited += seconds
                    if waited > PATIENCE_SECONDS:
                        raise Stop(f"{target}: {why} (come again in {seconds:.0f} s)")
                    await self._pause(seconds)
                case BrokenOff(why):
                    breaks += 1
                    if breaks > MOST_BREAKS:
                        raise Stop(f"the sidecar does not answer ({why}); is it running?")
                    # It may have been made, and be paid for: `settle` finds out.
                    self.budget.spent_usd += self.budget.highest_usd.get(target, Usd(0))
                    await self._pause(0.25 * 2**breaks)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        self.raise_if_stopped()

    def _look_at(self, target: str, answered: Answered) -> None:
        """Stops where going on would waste money or results."""
        if answered.ending in ("model_error", "timeout"):
            self._failures[target] += 1
            if self._failures[target] >= FAILURES_IN_A_ROW:
                number = self._failures[target]
                self.stop(f"{number} calls of {target} failed in a row, the last one with: {answered.error}")
        else:
            self._failures[target] = 0
        if self.budget.limit_usd is not None and answered.ending == "ok" and answered.cost_usd is None:
            self.stop(
                f"what {target} costs is not known, so that --budget cannot be kept; give it a price, or no budget"
            )
