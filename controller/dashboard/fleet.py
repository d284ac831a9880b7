"""The page of every sidecar: what it runs, how it stands, when it was last heard of. Pure."""

from collections import Counter

from controller.dashboard.view import Page, Table
from schemas.status import Fleet


def fleet_page(fleet: Fleet) -> Page:
    states = Counter(member.state for member in fleet.sidecars)
    rows = [
        (member.id, member.state, member.use_case, member.revision[:12], member.last_seen, member.error)
        for member in fleet.sidecars
    ]
    table = Table(
        "sidecars", "Sidecars", ("sidecar", "state", "use case", "revision", "last seen", "problem"), rows,
        "No sidecar has been heard of. Start one with --rules and this controller's URL.",
    )  # fmt: skip
    return Page("/fleet", "Fleet", (table,), facts=[(state, str(number)) for state, number in sorted(states.items())])
