"""What the fleet is to run and why: stable, on trial, pinned, suspended, rolled back. Values and transitions; no I/O.

stable ──accept──▶ trial at stage 0 ──advance──▶ … ──settle──▶ the stable one
                      └──fail──▶ stable as before; the failed bundle does not come back by itself
A pin stands above all of it; what is accepted meanwhile waits in `head`.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from controller.canaries.state import Canary
from controller.canaries.terms import Terms
from schemas.bundle import Candidate, Steered

KEPT_BUNDLES: Final = 8
"""The current bundle and those before it stay at hand: to roll back to, to pin, for sidecars that were slow to ask."""
KEPT_FAILURES: Final = 16


class NotPossible(Exception):
    """An act that does not fit what is; the message says what would."""


class Superseded(Exception):
    """What was decided is about a state that has passed meanwhile: look again."""


class Named(msgspec.Struct, frozen=True):
    """A bundle by its name; its bytes lie on the shelf."""

    digest: str
    size: int
    revision: str
    canaries: tuple[Terms, ...] = ()
    """What its rules say of them; sidecars have no use for it."""


class Pin(msgspec.Struct, frozen=True):
    bundle: Named
    reason: str
    since: float
    """Seconds since the epoch, as are all times here."""
    until: float | None = None
    """After this it is overdue and says so; it is never taken away by itself."""


class Policy(msgspec.Struct, frozen=True):
    """How a revision reaches the fleet, as its own rules say."""

    stages: tuple[int, ...]
    """Percent of the sidecars, growing to 100."""
    bake_seconds: float
    min_calls: int


class Trial(msgspec.Struct, frozen=True):
    bundle: Named
    policy: Policy
    affected: tuple[str, ...]
    """Use cases whose calls it may change: what it is judged by."""
    percent: float
    """What the current stage came to, of all sidecars; it stays over a restart."""
    since: float
    """When the current stage began."""
    stage: int = 0
    removed: tuple[str, ...] = ()
    """Use cases that it does not know any more: nobody may call them."""

    @property
    def concerns(self) -> tuple[str, ...]:
        return (*self.affected, *self.removed)

    @property
    def is_last_stage(self) -> bool:
        return self.policy.stages[self.stage + 1] >= 100


class Failure(msgspec.Struct, frozen=True):
    bundle: Named
    reason: str
    at: float


class Channel(msgspec.Struct, frozen=True):
    stable: Named | None = None
    trial: Trial | None = None
    pin: Pin | None = None
    head: Named | None = None
    """The newest bundle that passed the checks, whatever became of it."""
    past: tuple[Named, ...] = ()
    """Stable before, the newest first."""
    failed: tuple[Failure, ...] = ()
    """The newest first."""
    suspended: str | None = None
    """Why no new revision is taken up."""
    canaries: tuple[Canary, ...] = ()
    """Of what runs, by use case."""
    past_canaries: tuple[Canary, ...] = ()
    """As they stood when their rules went or said otherwise, the newest first."""
    fleet_size: int = 0
    """Sidecars known before: a restarted controller must not take a large fleet for a small one."""
    reason: str = ""
    """Of the last change; it travels with the pointer."""

    @property
    def running(self) -> Named | None:
        """What all run who are not on trial."""
        return self.stable if self.pin is None else self.pin.bundle

    @property
    def candidate(self) -> Candidate | None:
        trial = self.trial
        if trial is None or self.pin is not None:
            return None
        bundle = trial.bundle
        return Candidate(
            digest=bundle.digest, size=bundle.size, revision=bundle.revision, percent=trial.percent, salt=bundle.digest
        )

    @property
    def steering(self) -> dict[str, Steered]:
        """What all are told of canaries, whichever bundle they run: it is meant for one model of one use case."""
        return {
            canary.use_case: Steered(model=canary.model, canary_percent=canary.percent, reason=canary.reason)
            for canary in self.canaries
        }

    def kept(self) -> Iterator[Named]:
        """Every bundle that must stay on the shelf; one may come twice."""
        yield from filter(None, (self.running, self.stable, self.head))
        if self.trial is not None:
            yield self.trial.bundle
        yield from self.past

    def failure_of(self, digest: str) -> Failure | None:
        return next((failure for failure in self.failed if failure.bundle.digest == digest), None)


def accept(
    channel: Channel, bundle: Named, policy: Policy | None, *, affected: tuple[str, ...] = (),
    removed: tuple[str, ...] = (), percent: float = 0.0, now: float = 0.0, reason: str = "",
) -> Channel:  # fmt: skip
    """The newest revision passed its checks. Without a policy it goes to all at once; else its trial begins."""
    channel = msgspec.structs.replace(channel, head=bundle)
    if channel.pin is not None or channel.failure_of(bundle.digest) is not None:
        return channel
    if channel.stable is None or policy is None:
        return settle(channel, bundle, reason=reason)
    if bundle.digest == channel.stable.digest:
        return msgspec.structs.replace(channel, stable=bundle, trial=None)
    if channel.trial is not None and channel.trial.bundle.digest == bundle.digest:
        return channel
    trial = Trial(bundle, policy, affected, percent, now, removed=removed)
    return msgspec.structs.replace(channel, trial=trial, reason=reason or f"on trial at {policy.stages[0]} %")


def settle(channel: Channel, bundle: Named, *, reason: str = "") -> Channel:
    """Everybody runs it from now on."""
    stable = channel.stable
    if stable is not None and stable.digest == bundle.digest:
        return msgspec.structs.replace(channel, stable=bundle, trial=None)
    before = [named for named in (stable, *channel.past) if named is not None and named.digest != bundle.digest]
    return msgspec.structs.replace(
        channel, stable=bundle, trial=None, past=tuple(before[: KEPT_BUNDLES - 1]), reason=reason
    )


def advance(channel: Channel, *, percent: float, now: float) -> Channel:
    """The trial's next stage; the last one makes it stable."""
    trial = channel.trial
    if trial is None:
        return channel
    if trial.is_last_stage:
        return settle(channel, trial.bundle, reason="every stage passed")
    later = msgspec.structs.replace(trial, stage=trial.stage + 1, percent=max(percent, trial.percent), since=now)
    return msgspec.structs.replace(channel, trial=later, reason=f"on trial at {trial.policy.stages[later.stage]} %")


def fail(channel: Channel, reason: str, *, now: float) -> Channel:
    """The trial ends; its bundle does not come back until the repository has another revision."""
    if channel.trial is None:
        return channel
    return msgspec.structs.replace(_noted(channel, channel.trial.bundle, reason, now), trial=None)


def roll_back(channel: Channel, reason: str, *, now: float) -> Channel:
    """Ends a trial; without one, goes back to what was stable before. Raises `NotPossible`."""
    if channel.pin is not None:
        raise NotPossible("a pin is set: unpin first, or pin another bundle")
    if channel.trial is not None:
        return fail(channel, reason, now=now)
    if channel.stable is None or not channel.past:
        raise NotPossible("nothing ran before this bundle that is still kept")
    noted = _noted(channel, channel.stable, reason, now)
    return msgspec.structs.replace(noted, stable=channel.past[0], past=channel.past[1:])


def promote(channel: Channel, reason: str) -> Channel:
    """A person's word in place of what the trial still lacks. Raises `NotPossible`."""
    if channel.trial is None:
        raise NotPossible("no bundle is on trial")
    return settle(channel, channel.trial.bundle, reason=reason)


def set_pin(channel: Channel, bundle: Named, reason: str, *, now: float, ttl_seconds: float | None) -> Channel:
    until = None if ttl_seconds is None else now + ttl_seconds
    return msgspec.structs.replace(channel, pin=Pin(bundle, reason, now, until), trial=None, reason=f"pinned: {reason}")


def lift_pin(channel: Channel) -> Channel:
    """Back to the stable bundle; the newest revision comes on top as any other would. Raises `NotPossible`."""
    if channel.pin is None:
        raise NotPossible("no pin is set")
    return msgspec.structs.replace(channel, pin=None, reason="unpinned")


def find(channel: Channel, word: str) -> Named:
    """A kept bundle by its digest or its revision, or the beginning of either. Raises `NotPossible`."""
    kept = {named.digest: named for named in channel.kept()}
    names = [named for named in kept.values() if word in (named.digest, named.revision)] or [
        named for named in kept.values()
        if len(word) >= 6 and any(name.startswith(word) for name in (named.digest, named.revision, named.digest[7:]))
    ]  # fmt: skip
    if len(names) != 1:
        known = ", ".join(named.revision for named in kept.values()) or "none"
        raise NotPossible(f"{len(names) or 'no'} kept bundles are named {word!r}; kept revisions: {known}")
    return names[0]


def _noted(channel: Channel, bundle: Named, reason: str, now: float) -> Channel:
    failed = (Failure(bundle, reason, now), *channel.failed)[:KEPT_FAILURES]
    return msgspec.structs.replace(channel, failed=failed, reason=f"rolled back: {reason}")
