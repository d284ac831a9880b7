"""The page of what runs, what is tried on some sidecars, and which new models take traffic. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from controller.channel import Channel
from controller.dashboard.view import Page, Table


def rollout_page(channel: Channel, waits_for: str, canaries_wait_for: Mapping[str, str]) -> Page:
    canaries = [
        (canary.use_case, canary.model, canary.state, f"{canary.percent} %", canaries_wait_for.get(canary.use_case, ""),
         canary.reason)
        for canary in (*channel.canaries, *channel.past_canaries)
    ]  # fmt: skip
    undone = [(failure.bundle.revision[:12], _time(failure.at), failure.reason) for failure in channel.failed]
    return Page(
        "/rollout",
        "Rollout",
        (
            Table(
                "canaries", "New models on their way", ("use case", "model", "state", "traffic", "waits for", "reason"),
                canaries, "No use case has a canary. Give one `canary:` in its use-case.yaml.",
            ),
            Table(
                "rolled-back", "Rolled back", ("revision", "at", "reason"), undone,
                "Nothing was rolled back. `pointsman rollback --reason …` goes back to what ran before.",
            ),
        ),
        facts=tuple(_facts(channel, waits_for)),
    )  # fmt: skip


def _facts(channel: Channel, waits_for: str) -> Iterator[tuple[str, str]]:
    yield "stable", "none yet" if channel.stable is None else channel.stable.revision[:12]
    if channel.trial is not None:
        yield "on trial", channel.trial.bundle.revision[:12]
        yield "at", f"{channel.trial.percent} % of the fleet"
        yield "waits for", waits_for or "nothing"
    if channel.pin is not None:
        yield "pinned", f"{channel.pin.bundle.revision[:12]}: {channel.pin.reason}"
    if channel.suspended is not None:
        yield "suspended", channel.suspended


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
