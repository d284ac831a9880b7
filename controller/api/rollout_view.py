"""The channel as people and scripts see it, in `/v1/status` and after every act."""

from collections.abc import Mapping
from datetime import UTC, datetime

from controller.canaries.state import Canary
from controller.channel import Channel, Named
from controller.parts import Parts
from schemas.bundle import Pointer


def view_now(parts: Parts) -> dict[str, object]:
    return view_of(
        parts.publisher.channel, parts.publisher.pointer, parts.stages.waits_for, parts.canaries.waits_for, parts.now()
    )


def view_of(
    channel: Channel, pointer: Pointer | None, waits_for: str, canaries_wait_for: Mapping[str, str], now: float
) -> dict[str, object]:
    trial, pin = channel.trial, channel.pin
    return {
        "seq": 0 if pointer is None else pointer.seq,
        "reason": channel.reason,
        "stable": None if channel.stable is None else _named(channel.stable),
        "head": None if channel.head is None else _named(channel.head),
        "trial": None if trial is None else {
            **_named(trial.bundle),
            "stage": trial.stage,
            "stages": trial.policy.stages,
            "percent": trial.percent,
            "since": _time(trial.since),
            "affected": trial.affected,
            "waits_for": waits_for,
        },
        "pin": None if pin is None else {
            **_named(pin.bundle),
            "reason": pin.reason,
            "since": _time(pin.since),
            "until": "" if pin.until is None else _time(pin.until),
            "is_overdue": pin.until is not None and now > pin.until,
        },
        "canaries": [_canary(canary, canaries_wait_for.get(canary.use_case, "")) for canary in channel.canaries],
        "past_canaries": [_canary(canary, "") for canary in channel.past_canaries],
        "suspended": channel.suspended,
        "rolled_back": [
            {**_named(failure.bundle), "reason": failure.reason, "at": _time(failure.at)} for failure in channel.failed
        ],
        "kept": [_named(named) for named in {named.digest: named for named in channel.kept()}.values()],
    }  # fmt: skip


def _canary(canary: Canary, waits_for: str) -> dict[str, object]:
    return {
        "use_case": canary.use_case,
        "model": canary.model,
        "primary": canary.terms.primary,
        "state": canary.state,
        "percent": float(canary.percent),
        "ladder": [float(rung) for rung in canary.terms.ladder],
        "since": _time(canary.since),
        "reason": canary.reason,
        "waits_for": waits_for if canary.is_judged else "",
        "moves": [
            {"at": _time(move.at), "state": move.state, "percent": float(move.percent), "reason": move.reason}
            for move in canary.moves
        ],
    }


def _named(bundle: Named) -> dict[str, str]:
    return {"digest": bundle.digest, "revision": bundle.revision}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
