"""The page of what runs, what is tried on some sidecars, and which new models take traffic. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from controller.channel import Channel
from controller.dashboard.view import Field, Form, Page, Table


def rollout_page(channel: Channel, waits_for: str, canaries_wait_for: Mapping[str, str], *, warning: str = "") -> Page:
    """
    Args:
        warning: why what was asked for has not been done.
    """
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
        warnings=(warning,) if warning else (),
        forms=tuple(_forms(channel)),
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


def _forms(channel: Channel) -> Iterator[Form]:
    """What can be done as things are."""
    if channel.trial is not None:
        yield _form("promote", "Approve the trial", "To the whole fleet")
    if channel.pin is not None:
        yield _form("unpin", "Lift the pin", "Unpin")
    if channel.stable is not None:
        words = "Ends the trial; what ran before runs on." if channel.trial else "Goes back to what ran before."
        yield _form("rollback", "Roll back", "Roll back", help=words)
        kept = {named.digest: f"{named.revision[:12]} ({named.digest[:19]})" for named in channel.kept()}
        yield _form("pin", "Pin a revision", "Pin", Field("bundle", "Revision", "select", choices=tuple(kept.items())),
                    help="Every sidecar runs it, whatever the repository says, until it is unpinned.")  # fmt: skip
    if channel.suspended is None:
        yield _form("suspend", "Suspend", "Suspend", help="No new revision is taken up; what runs is served.")
    else:
        yield _form("resume", "Resume", "Resume")
    going = {canary.use_case: canary.use_case for canary in channel.canaries}
    if going:
        choices = Field("use_case", "Use case", "select", choices=tuple(going.items()))
        yield _form("canary_stop", "Stop a canary", "Stop", choices, help="The primary has all traffic again.")
        yield _form("canary_resume", "Resume a canary", "Resume", choices)


def _form(act: str, title: str, button: str, *fields: Field, help: str = "") -> Form:
    return Form("/rollout", title, button, (*fields, Field("reason", "Reason"), Field("act", "", "hidden", act)), help)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
