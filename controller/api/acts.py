"""What people do to a running fleet: pin, roll back, promote, suspend. At once, and kept over restarts."""

from typing import Final, TypeVar

import msgspec
from aiohttp import web

from controller import logs
from controller.api.answers import answer, parse_as
from controller.api.rollout_view import view_now
from controller.canaries import moves as canaries
from controller.channel import Channel, NotPossible, find, lift_pin, promote, roll_back, set_pin
from controller.errors import ApiError, ForeignKey, LedgerUnavailable
from controller.parts import PARTS
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


Kind = TypeVar("Kind", bound=Act)


async def pin(request: web.Request) -> web.Response:
    """`POST /v1/pin`: everybody runs this bundle, whatever the repository says."""
    act = await _act(request, PinAct)
    if not act.bundle:
        raise ApiError(400, "malformed", "bundle must name a digest or a revision")
    if act.ttl_seconds is not None and not 0 < act.ttl_seconds < float("inf"):
        raise ApiError(400, "malformed", "ttl_seconds must be more than 0")
    now = request.app[PARTS].now()

    def change(channel: Channel) -> Channel:
        return set_pin(channel, find(channel, act.bundle), act.reason, now=now, ttl_seconds=act.ttl_seconds)

    return await _done(request, "pin", act.reason, change)


async def unpin(request: web.Request) -> web.Response:
    """`POST /v1/unpin`: back to the stable bundle; the newest revision follows as any other would."""
    act = await _act(request, Act)
    response = await _done(request, "unpin", act.reason, lift_pin)
    request.app[PARTS].reconciler.look_again()
    return response


async def rollback(request: web.Request) -> web.Response:
    """`POST /v1/rollback`: ends a trial, or goes back to what ran before; the bundle does not return by itself."""
    act = await _act(request, Act)
    now = request.app[PARTS].now()
    return await _done(request, "rollback", act.reason, lambda channel: roll_back(channel, act.reason, now=now))


async def promote_trial(request: web.Request) -> web.Response:
    """`POST /v1/promote`: the bundle on trial goes to all, on a person's word."""
    act = await _act(request, Act)
    return await _done(request, "promote", act.reason, lambda channel: promote(channel, f"promoted: {act.reason}"))


async def suspend(request: web.Request) -> web.Response:
    """`POST /v1/suspend`: no new revision is taken up and no trial goes on; what runs is served."""
    act = await _act(request, Act)
    return await _done(
        request, "suspend", act.reason, lambda channel: msgspec.structs.replace(channel, suspended=act.reason)
    )


async def resume(request: web.Request) -> web.Response:
    """`POST /v1/resume`."""
    act = await _act(request, Act)
    response = await _done(
        request, "resume", act.reason, lambda channel: msgspec.structs.replace(channel, suspended=None)
    )
    request.app[PARTS].reconciler.look_again()
    return response


class CanaryAct(Act, forbid_unknown_fields=True):
    use_case: str = ""


async def stop_canary(request: web.Request) -> web.Response:
    """`POST /v1/canary/stop`: the primary has all traffic again."""
    act = await _act(request, CanaryAct)
    now = request.app[PARTS].now()
    return await _done(
        request, "canary_stop", act.reason, lambda channel: canaries.stop(channel, act.use_case, act.reason, now=now)
    )


async def resume_canary(request: web.Request) -> web.Response:
    """`POST /v1/canary/resume`: one that has ended or was halted begins again, where its rules begin."""
    act = await _act(request, CanaryAct)
    now = request.app[PARTS].now()
    return await _done(
        request,
        "canary_resume",
        act.reason,
        lambda channel: canaries.resume(channel, act.use_case, act.reason, now=now),
    )


async def _act(request: web.Request, kind: type[Kind]) -> Kind:
    act = parse_as(await request.read() or b"{}", kind)
    if not act.reason.strip() or len(act.reason) > MAX_REASON_CHARACTERS:
        raise ApiError(400, "malformed", f"reason must say why, in at most {MAX_REASON_CHARACTERS} characters")
    return act


async def _done(request: web.Request, name: str, reason: str, change: Change) -> web.Response:
    """The channel as it is then; one line in the log for whoever asks later."""
    parts = request.app[PARTS]
    try:
        publication = await parts.publisher.change(change)
    except NotPossible as error:
        raise ApiError(409, "not_possible", str(error)) from error
    except ForeignKey as error:
        raise ApiError(409, "not_possible", str(error)) from error
    except LedgerUnavailable as error:
        message = "the database does not answer: nothing has changed, and what runs is served on"
        raise ApiError(503, "database_away", message, retry_after_seconds=5) from error
    except OSError as error:
        raise ApiError(503, "state_unwritable", f"the state folder cannot be written: {error.strerror}") from error
    pointer = publication.pointer
    logs.event(f"act.{name}", reason=reason, seq=pointer.seq, revision=pointer.revision, digest=pointer.digest,
               by=request.remote)  # fmt: skip
    return answer(view_now(parts))
