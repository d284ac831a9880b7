"""What people do to a running fleet: pin, roll back, promote, suspend. At once, and kept over restarts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from controller import logs
from controller.api.answers import answer, parse_as
from controller.api.rollout_view import view_now
from controller.canaries import moves as canaries
from controller.channel import Channel, NotPossible, find, lift_pin, promote, roll_back, set_pin
from controller.errors import ApiError, ForeignKey, LedgerUnavailable
from controller.parts import PARTS, Parts
from controller.publish import Change

MAX_REASON_CHARACTERS: Final = 500


class Act(msgspec.Struct, forbid_unknown_fields=True):
    """The body of every act."""

    reason: str = ""
    """Travels with the pointer and stands in the log."""


class PinAct(Act, forbid_unknown_fields=True):
    bundle: str = ""
    """A digest or a revision that is still kept, or the beginning of one."""
    ttl_seconds: float | None = None


class CanaryAct(Act, forbid_unknown_fields=True):
    use_case: str = ""


@dataclass(frozen=True, slots=True)
class Deed:
    """One of the things that people do, by whichever door they come."""

    name: str
    """In the log, after `act.`."""
    kind: type[Act]
    change: Callable[[Any, float], Change]
    """Of the act and the time, seconds since the epoch. Raises `ApiError`: the act says too little."""
    looks_again: bool = False
    """The newest revision follows as any other would."""


def _pin(act: PinAct, now: float) -> Change:
    if not act.bundle:
        raise ApiError(400, "malformed", "bundle must name a digest or a revision")
    if act.ttl_seconds is not None and not 0 < act.ttl_seconds < float("inf"):
        raise ApiError(400, "malformed", "ttl_seconds must be more than 0")

    def change(channel: Channel) -> Channel:
        return set_pin(channel, find(channel, act.bundle), act.reason, now=now, ttl_seconds=act.ttl_seconds)

    return change


def _suspended(reason: str | None) -> Change:
    return lambda channel: msgspec.structs.replace(channel, suspended=reason)


PIN: Final = Deed("pin", PinAct, _pin)
"""Everybody runs this bundle, whatever the repository says."""
UNPIN: Final = Deed("unpin", Act, lambda act, now: lift_pin, looks_again=True)
"""Back to the stable bundle."""
ROLL_BACK: Final = Deed("rollback", Act, lambda act, now: lambda channel: roll_back(channel, act.reason, now=now))
"""Ends a trial, or goes back to what ran before; the bundle does not return by itself."""
PROMOTE: Final = Deed("promote", Act, lambda act, now: lambda channel: promote(channel, f"promoted: {act.reason}"))
"""The bundle on trial goes to all, on a person's word."""
SUSPEND: Final = Deed("suspend", Act, lambda act, now: _suspended(act.reason))
"""No new revision is taken up and no trial goes on; what runs is served."""
RESUME: Final = Deed("resume", Act, lambda act, now: _suspended(None), looks_again=True)
STOP_CANARY: Final = Deed(
    "canary_stop",
    CanaryAct,
    lambda act, now: lambda channel: canaries.stop(channel, act.use_case, act.reason, now=now),
)
"""The primary has all traffic again."""
RESUME_CANARY: Final = Deed(
    "canary_resume",
    CanaryAct,
    lambda act, now: lambda channel: canaries.resume(channel, act.use_case, act.reason, now=now),
)
"""One that has ended or was halted begins again, where its rules begin."""
DEEDS: Final = (PIN, UNPIN, ROLL_BACK, PROMOTE, SUSPEND, RESUME, STOP_CANARY, RESUME_CANARY)


def handler(deed: Deed) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Takes the act as JSON; answers with the channel as it is then."""

    async def handle(request: web.Request) -> web.Response:
        act = parse_as(await request.read() or b"{}", deed.kind)
        await do(request.app[PARTS], deed, act, by=request.remote or "")
        return answer(view_now(request.app[PARTS]))

    return handle


async def do(parts: Parts, deed: Deed, act: Act, *, by: str) -> None:
    """One line in the log for whoever asks later.

    Args:
        by: who does it, as the log names them.

    Raises:
        ApiError: no reason, not possible as things are, or nothing can be kept just now; nothing has changed then.
    """
    if not act.reason.strip() or len(act.reason) > MAX_REASON_CHARACTERS:
        raise ApiError(400, "malformed", f"reason must say why, in at most {MAX_REASON_CHARACTERS} characters")
    try:
        publication = await parts.publisher.change(deed.change(act, parts.now()))
    except (NotPossible, ForeignKey) as error:
        raise ApiError(409, "not_possible", str(error)) from error
    except LedgerUnavailable as error:
        message = "the database does not answer: nothing has changed, and what runs is served on"
        raise ApiError(503, "database_away", message, retry_after_seconds=5) from error
    except OSError as error:
        raise ApiError(503, "state_unwritable", f"the state folder cannot be written: {error.strerror}") from error
    pointer = publication.pointer
    logs.event(f"act.{deed.name}", reason=act.reason, seq=pointer.seq, revision=pointer.revision,
               digest=pointer.digest, by=by)  # fmt: skip
    if deed.looks_again:
        parts.reconciler.look_again()
