"""Takes each new revision to the fleet in stages: begins a trial, looks at it again and again, ends it either way.

What to do is decided by `controller.rollout`; this asks the roster, the ledger and the clock, and tells the publisher.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec
from sqlalchemy import Connection

from controller import logs
from controller.canaries.terms import Terms
from controller.channel import Channel, NotPossible, Policy, Superseded, Trial, accept, advance, fail
from controller.errors import ForeignKey, LedgerUnavailable
from controller.fleet import Roster
from controller.ledger.arms import compare
from controller.publish import Publication, Publisher
from controller.rollout import Advance, Arms, RollBack, affected_use_cases, percent_for, removed_use_cases, verdict
from schemas.bundle import Bundle, decode_bundle
from schemas.cohort import lot_of

LOOK_SECONDS: Final = 2.0
LOOKS_PER_BAKE: Final = 4
KNOWN_AGAIN_SECONDS: Final = 90.0
"""After a start sidecars come back one by one: until then the fleet is as large as it was."""


class Books(Protocol):
    """`controller.ledger.store.Ledger`."""

    def read(self, look: Callable[[Connection], Mapping[str, Arms]]) -> Mapping[str, Arms]: ...


class Stages:
    def __init__(
        self, publisher: Publisher, roster: Roster, books: Books, *, now: Callable[[], float],
        look_seconds: float = LOOK_SECONDS,
    ) -> None:  # fmt: skip
        """`now` gives seconds since the epoch."""
        self._publisher = publisher
        self._roster = roster
        self._books = books
        self._now = now
        self._look_seconds = look_seconds
        self._started = now()
        self._told_overdue = self._told_not_saved = ""
        self.waits_for = ""
        """What the trial still lacks, for people."""

    async def offer(
        self, bundle: Bundle, policy: Policy, min_sidecars: int, seen: Channel, canaries: tuple[Terms, ...] = ()
    ) -> Publication:
        """Takes up a revision that passed its checks.

        Args:
            seen: the channel before the revision was fetched.

        Raises:
            BundleRefused: no sidecar would take it.
            Superseded: the channel is another by now; a newer revision may be in it.
            OSError, LedgerUnavailable: it cannot be written.
        """
        named, data = self._publisher.name(bundle)
        named = msgspec.structs.replace(named, canaries=canaries)
        running = self._publisher.current
        stable = None if running is None else decode_bundle(running.bundle)
        affected = () if stable is None else affected_use_cases(stable, bundle)
        removed = () if stable is None else removed_use_cases(stable, bundle)
        is_staged = (affected or removed) and policy.stages[0] < 100 and self._fleet_size() >= min_sidecars
        percent = percent_for(policy.stages[0], self._lots(named.digest, (*affected, *removed)))
        now = self._now()

        def change(channel: Channel) -> Channel:
            if (channel.head, channel.running, channel.suspended) != (seen.head, seen.running, None):
                raise Superseded
            return accept(
                channel,
                named,
                policy if is_staged else None,
                affected=affected,
                removed=removed,
                percent=percent,
                now=now,
            )

        self.waits_for = ""
        return await self._publisher.change(change, {named.digest: data})

    async def run(self) -> None:
        """Never returns by itself."""
        while True:
            trial = self._publisher.channel.trial
            bake = self._look_seconds if trial is None else trial.policy.bake_seconds / LOOKS_PER_BAKE
            await asyncio.sleep(min(self._look_seconds, max(bake, 0.05)))
            try:
                await self._note_fleet_size()
                self._note_overdue_pin()
                await self.look()
                self._told_not_saved = ""
            except (OSError, LedgerUnavailable, ForeignKey) as error:
                self._note_not_saved(f"{error}")
            except NotPossible:
                continue  # nothing runs yet
            except Exception as bug:
                logs.bug("rollout.failed", bug)  # the trial holds; the next look may fare better

    async def look(self) -> None:
        """Judges the trial, if there is one, and acts on it."""
        trial = self._publisher.channel.trial
        stable = self._publisher.channel.stable
        if trial is None or stable is None:
            return
        try:
            figures = await asyncio.to_thread(
                self._books.read,
                lambda connection: compare(
                    connection, trial=trial.bundle.digest, control=stable.digest, since=trial.since,
                    use_cases=trial.concerns,
                ),
            )  # fmt: skip
        except LedgerUnavailable as error:
            figures = {}
            self.waits_for = f"the ledger: {error}"
        decided = verdict(
            figures, affected=trial.affected, removed=trial.removed, min_calls=trial.policy.min_calls,
            rejected_by=self._roster.rejecting(trial.bundle.digest),
            seconds_left=trial.since + trial.policy.bake_seconds - self._now(),
        )  # fmt: skip
        if isinstance(decided, RollBack):
            await self._roll_back(trial, decided.reason)
        elif isinstance(decided, Advance):
            await self._advance(trial)
        else:
            self.waits_for = decided.waits_for

    async def _roll_back(self, trial: Trial, reason: str) -> None:
        now = self._now()
        if await self._if_still(trial, lambda channel: fail(channel, reason, now=now)):
            logs.warn("rollout.rolled_back", revision=trial.bundle.revision, digest=trial.bundle.digest, reason=reason)

    async def _advance(self, trial: Trial) -> None:
        if self._publisher.channel.suspended is not None:
            self.waits_for = "resume: the rollout is suspended"
            return
        stage = trial.policy.stages[trial.stage + 1]
        percent = percent_for(stage, self._lots(trial.bundle.digest, trial.concerns))
        now = self._now()

        def change(channel: Channel) -> Channel:
            return channel if channel.suspended is not None else advance(channel, percent=percent, now=now)

        if await self._if_still(trial, change):
            logs.event("rollout.advanced", revision=trial.bundle.revision, digest=trial.bundle.digest, percent=stage)

    async def _if_still(self, trial: Trial, change: Callable[[Channel], Channel]) -> bool:
        """Whether it was done: a person, a newer revision or another controller may have ended the trial, or taken it
        a stage further, while it was judged.
        """
        changed = False

        def if_still(channel: Channel) -> Channel:
            nonlocal changed
            after = change(channel) if channel.trial == trial else channel
            changed = after is not channel
            return after

        await self._publisher.change(if_still)
        return changed

    async def _note_fleet_size(self) -> None:
        """Saved when it has changed by a tenth: only its order of magnitude matters, and only after a restart."""
        size, known = self._roster.alive(), self._publisher.channel.fleet_size
        is_known = self._now() - self._started > KNOWN_AGAIN_SECONDS or size > known
        if is_known and abs(size - known) * 10 > known:
            await self._publisher.change(lambda channel: msgspec.structs.replace(channel, fleet_size=size))

    def _note_not_saved(self, error: str) -> None:
        if error != self._told_not_saved:  # once, not at every look
            self._told_not_saved = error
            logs.warn("rollout.not_saved", error=error)

    def _note_overdue_pin(self) -> None:
        pin = self._publisher.channel.pin
        if pin is None or pin.until is None or self._now() <= pin.until or self._told_overdue == f"{pin}":
            return
        self._told_overdue = f"{pin}"
        logs.warn("pin.overdue", revision=pin.bundle.revision, reason=pin.reason)

    def _fleet_size(self) -> int:
        is_known = self._now() - self._started > KNOWN_AGAIN_SECONDS
        alive = self._roster.alive()
        return alive if is_known else max(alive, self._publisher.channel.fleet_size)

    def _lots(self, salt: str, affected: Sequence[str]) -> list[int]:
        """Of the sidecars that may call what changes."""
        return [lot_of(salt, sidecar) for sidecar in self._roster.serving(affected)]
