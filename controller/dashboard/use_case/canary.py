"""Where a use case's canary stands: its confidence sequence, and the steps that it has made. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from controller.canaries.state import Canary
from controller.dashboard.view import Table
from controller.evals.canary import MIN_CONVERSATIONS, compare
from controller.evals.canary_figures import Look, Sums
from controller.plots.charts import Band, Moment

SHOWN_LOOKS: Final = 48
HEAD: Final = ("at", "calls of it", "good", "calls of the primary", "good", "difference, points", "from", "to")


def canary_tables(
    name: str, canaries: Sequence[Canary], looks: Sequence[Look] | None, waits_for: str
) -> tuple[Table, Table]:
    """
    Args:
        canaries: of this use case, the one of the rules that run first.
        looks: at the step that it is on; None: the ledger cannot be read.
        waits_for: what the step still lacks.
    """
    canary = canaries[0] if canaries else None
    moments = [] if canary is None else list(_moments(canary, looks or ()))
    rows = [_row(look, moment) for look, moment in moments]
    chart = None
    note = ""
    if canary is not None and rows:
        title = f"{canary.model} less {canary.terms.primary}: difference of the shares of good calls, in points"
        chart = Band(title, [moment for _, moment in moments], canary.terms.margin)
        note = "The interval holds at every look at once, with 95 %. " + (
            f"It waits for {waits_for}." if waits_for else ""
        )
    moves = [
        (_time(move.at), one.model, move.state, f"{move.percent:f} %", move.reason)
        for one in canaries
        for move in one.moves
    ]
    return (
        Table("canary", "Canary", HEAD, rows[::-1], _empty(name, canary, looks, waits_for), chart=chart, note=note,
              is_live=canary is not None and canary.is_judged),
        Table("canary-steps", "Steps of the canary", ("at", "model", "state", "traffic", "reason"), moves,
              "No canary has made a step."),
    )  # fmt: skip


def _moments(canary: Canary, looks: Sequence[Look]) -> Iterator[tuple[Look, Moment]]:
    """Where both sides have said enough for the sequence, evenly thinned; the last one always."""
    said = [
        look for look in looks if min(look.candidate.conversations, look.incumbent.conversations) >= MIN_CONVERSATIONS
    ]
    every = -(-len(said) // SHOWN_LOOKS) or 1
    for look in said[::-1][::every][::-1]:
        difference, half = compare(look.candidate, look.incumbent, planned_calls=canary.terms.planned_calls)
        yield look, Moment(look.minute, difference - half, difference, difference + half)


def _row(look: Look, moment: Moment) -> tuple[str, ...]:
    figures = (figure for side in (look.candidate, look.incumbent) for figure in _figures(side))
    return (
        look.minute.replace("T", " "), *figures,
        *(f"{100 * end:+.2f}" for end in (moment.middle, moment.low, moment.high)),
    )  # fmt: skip


def _figures(side: Sums) -> tuple[str, str]:
    return f"{side.calls:,}", f"{side.good / side.calls:.2%}"


def _empty(name: str, canary: Canary | None, looks: Sequence[Look] | None, waits_for: str) -> str:
    if canary is None:
        return f"No canary. To try a model on some of the traffic, give use-cases/{name}/use-case.yaml a `canary:`."
    if not canary.is_judged:
        return f"Nothing is judged now: {canary.reason}"
    if looks is None:
        return "Unknown while the ledger cannot be read."
    if waits_for:
        return f"Too early to say. It waits for {waits_for}."
    return f"Too early to say: {MIN_CONVERSATIONS} conversations of each side must say how good it is."


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
