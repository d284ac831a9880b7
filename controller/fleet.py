"""Who runs what: the last status of each sidecar, and what it means against the current pointer."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from schemas.bundle import Pointer
from schemas.cohort import pointer_for
from schemas.scope import WHOLE, Scope, holds
from schemas.status import Fleet, FleetMember, FleetState, SidecarStatus

OFFLINE_SECONDS: Final = 150.0
"""Two beats of 60 s and a half: without a status or a watch for so long, a sidecar counts as gone."""
ALIVE_SECONDS: Final = 30.0
"""Two pings of a watch stream, give or take: who is silent for longer holds no share of a limit."""
FORGET_SECONDS: Final = 86_400.0
"""A pod that was replaced never comes back under its old id."""
MAX_MEMBERS: Final = 20_000
SAME_SECONDS: Final = 1.0
"""A beat that comes back by way of another clock may differ by so much and is the same one."""


@dataclass(frozen=True, slots=True)
class Member:
    seen: float
    """Seconds since the epoch."""
    status: SidecarStatus | None = None
    scope: Scope = WHOLE
    told: float = 0.0
    """When its status came."""
    is_own: bool = True
    """This controller heard of it last, and not another one."""


class Roster:
    """In memory: a restarted controller knows its fleet again after one beat, or from the other controllers."""

    def __init__(self, now: Callable[[], float], *, is_shared: bool = False) -> None:
        """`is_shared`: there may be other controllers to tell."""
        self._now = now
        self._is_shared = is_shared
        self._members: dict[str, Member] = {}
        self._untold: dict[str, bool] = {}
        """What other controllers do not know yet; true: its status too."""
        self._heard = float("inf")
        """When the others were last heard of: until then their sidecars are known to be alive."""

    def note_status(self, status: SidecarStatus, scope: Scope = WHOLE) -> None:
        self._note(status.id, scope, status=status)

    def note_alive(self, sidecar: str, scope: Scope = WHOLE) -> None:
        """It reads its watch stream."""
        self._note(sidecar, scope)

    def fleet(self, pointer: Pointer | None) -> Fleet:
        now = self._now()
        self._members = {name: member for name, member in self._members.items() if now - member.seen < FORGET_SECONDS}
        return Fleet(sidecars=tuple(
            member_row(name, member, pointer, self._looked_at(member)) for name, member in sorted(self._members.items())
        ))  # fmt: skip

    def alive(self) -> int:
        """Sidecars heard of lately. On any thread."""
        return sum(map(self._is_alive, tuple(self._members.values())))

    def serving(self, use_cases: Collection[str]) -> list[str]:
        """Live sidecars that may call one of these: those of another scope or use case are left out, if any remain."""
        alive = {name: member for name, member in self._members.items() if self._is_alive(member)}
        return [name for name, member in alive.items() if _may_call(member, use_cases)] or list(alive)

    def rejecting(self, digest: str) -> list[str]:
        """Sidecars that last said they would not run this bundle. One that runs it and cannot keep it is none."""
        said = {name: member.status for name, member in sorted(self._members.items()) if member.status is not None}
        return [
            name
            for name, status in said.items()
            if status.state == "REJECTED" and status.tried.digest == digest != status.active.digest
        ]

    def untold(self) -> dict[str, Member]:
        """What other controllers are to hear, once; of a sidecar that told nothing new, that it lives."""
        untold, self._untold = self._untold, {}
        known = {name: self._members[name] for name in untold if name in self._members}
        return {name: member if untold[name] else replace(member, status=None) for name, member in known.items()}

    def not_told(self, members: Mapping[str, Member]) -> None:
        """They could not be told: with what comes next."""
        for name, member in members.items():
            self._untold[name] = member.status is not None or self._untold.get(name, False)

    def hear_of(self, members: Mapping[str, Member]) -> None:
        """What other controllers have heard, and this one too: the later word counts."""
        for name, heard in members.items():
            known = self._members.get(name)
            if known is None:
                self._members[name] = replace(heard, is_own=False)
                continue
            if heard.status is not None and heard.told > known.told:
                known = replace(known, status=heard.status, told=heard.told)
            if heard.seen > known.seen + SAME_SECONDS:
                known = replace(known, seen=heard.seen, scope=heard.scope, is_own=False)
            self._members[name] = known
        self._heard = self._now()
        if len(self._members) > MAX_MEMBERS:
            self._forget()

    def _is_alive(self, member: Member) -> bool:
        return self._looked_at(member) - member.seen <= ALIVE_SECONDS

    def _looked_at(self, member: Member) -> float:
        """While the database is away, sidecars of other controllers are as they were when it was there."""
        now = self._now()
        return now if member.is_own else min(now, self._heard)

    def _note(self, sidecar: str, scope: Scope, *, status: SidecarStatus | None = None) -> None:
        now = self._now()
        if sidecar not in self._members and len(self._members) >= MAX_MEMBERS:
            self._forget()
        known = self._members.get(sidecar, Member(now))
        if status is not None:
            known = replace(known, status=status, told=now)
        self._members[sidecar] = replace(known, seen=now, scope=scope, is_own=True)
        if self._is_shared:
            self._untold[sidecar] = status is not None or self._untold.get(sidecar, False)

    def _forget(self) -> None:
        oldest = sorted(self._members, key=lambda name: self._members[name].seen)
        for name in oldest[: MAX_MEMBERS // 10]:
            del self._members[name]


def _may_call(member: Member, use_cases: Collection[str]) -> bool:
    bound = member.status.use_case if member.status else ""
    return any(bound in ("", name) and holds(member.scope, name) for name in use_cases)


def member_row(name: str, member: Member, pointer: Pointer | None, now: float) -> FleetMember:
    status = member.status
    own = None if pointer is None else pointer_for(pointer, name)
    return FleetMember(
        id=name,
        use_case=status.use_case if status else "",
        state=state_of(member, own, now),
        bundle=status.active.digest if status else "",
        revision=status.active.revision if status else "",
        last_seen=datetime.fromtimestamp(member.seen, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        error=status.error if status else "",
    )


def state_of(member: Member, pointer: Pointer | None, now: float) -> FleetState:
    """Against the pointer as this sidecar reads it (`schemas.cohort`).

    A refusal counts while it is about the current bundle; of an older one, the sidecar is merely behind.
    """
    if now - member.seen > OFFLINE_SECONDS:
        return "OFFLINE"
    if member.status is None or pointer is None:
        return "BEHIND"
    if member.status.active.digest == pointer.digest:
        return "SYNCED"
    is_about_current = member.status.tried.digest in ("", pointer.digest)
    return "REJECTED" if member.status.state == "REJECTED" and is_about_current else "BEHIND"
