"""The pages of single calls: which there were, and how one of them was decided. Metadata only. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from controller.dashboard.use_cases import path_of
from controller.dashboard.view import Field, Form, Page, Table
from controller.ledger import calls
from schemas.record import AttemptRecord, CallFacts, SkippedTarget

UNKNOWN: Final = "unknown"
AWAY: Final = "The ledger cannot be read just now: calls are unknown."
HEAD: Final = (
    "call", "at", "use case", "outcome", "model", "provider", "reason", "attempts", "seconds", "cost, USD", "agent",
)  # fmt: skip
TRAIL: Final = (
    "#", "model", "provider", "why", "outcome", "status", "seconds", "to first token", "input tokens",
    "output tokens", "cost, USD",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    since: str
    until: str
    keys: Mapping[str, str]

    @property
    def query(self) -> dict[str, str]:
        days = {"since": self.since, "until": self.until}
        return {name: value for name, value in {**days, **self.keys}.items() if value}


def calls_page(wanted: Wanted, page: calls.Page | None) -> Page:
    """
    Args:
        page: None: the ledger cannot be read.
    """
    found: Sequence[Mapping[str, Any]] = () if page is None else page.calls
    following = ""
    if page is not None and page.next is not None:
        following = "/calls?" + urlencode({**wanted.query, "after": calls.encode_cursor(page.next)})
    table = Table(
        "calls", "Calls, newest first", HEAD, [_row(call) for call in found], _empty(wanted, is_away=page is None),
        links=[f"/calls/{quote(call['id'], safe='')}" for call in found], following=following,
        cell_links={HEAD.index("use case"): [path_of(call["use_case"]) for call in found]},
    )  # fmt: skip
    days = (
        Field("since", "Since", "date", wanted.since, is_required=False),
        Field("until", "Until", "date", wanted.until, is_required=False),
    )
    keys = [
        Field(name, name.replace("_", " ").capitalize(), value=wanted.keys.get(name, ""), is_required=False)
        for name in calls.FILTERS
    ]
    form = Form("/calls", "Filter", "Show", (*days, *keys), needs_person=False, method="get")
    return Page("/calls", "Calls", (table,), warnings=(AWAY,) if page is None else (), forms=(form,))


def call_page(name: str, call: Mapping[str, Any] | None) -> Page:
    """
    Args:
        call: as the ledger gives one; None: it cannot be read.
    """
    path = f"/calls/{quote(name, safe='')}"
    if call is None:
        return Page(path, f"Call {name}", (), warnings=(AWAY,))
    attempts = msgspec.json.decode(call["attempts"], type=list[AttemptRecord])
    skipped = msgspec.json.decode(call["skipped"], type=list[SkippedTarget])
    return Page(
        path,
        f"Call {name}",
        (
            Table("attempts", "Attempts", TRAIL, [_attempt(n, each) for n, each in enumerate(attempts, 1)],
                  "No target was tried: the targets passed over say why."),
            Table("skipped", "Passed over", ("model", "provider", "why"),
                  [(each.model, each.provider, each.reason) for each in skipped], "No target was passed over."),
            Table("facts", "What the rules looked at", ("fact", "value"), _facts(call),
                  "This call's record has none: its sidecar is older than they are."),
        ),
        facts=[(label, _said(call[key])) for key, label in _FACTS],
        fact_links={"use case": path_of(call["use_case"])},
    )  # fmt: skip


_FACTS: Final = (
    ("at", "at"), ("use_case", "use case"), ("team", "team"), ("agent", "agent"), ("caller", "caller"),
    ("sidecar", "sidecar"), ("dialect", "dialect"), ("stream", "streamed"), ("outcome", "outcome"),
    ("status", "status"), ("model", "answered by"), ("provider", "at"), ("reason", "because of"),
    ("seconds", "seconds"), ("first_token_seconds", "seconds to first token"), ("input_tokens", "input tokens"),
    ("cache_read_tokens", "of them from cache"), ("output_tokens", "output tokens"), ("cost_usd", "cost, USD"),
    ("wasted_usd", "wasted, USD"), ("estimated", "estimated"), ("steering", "steering"), ("arm", "arm"),
    ("dropped", "dropped"), ("quality", "quality checks"), ("revision", "revision"), ("bundle", "bundle"),
)  # fmt: skip


def _row(call: Mapping[str, Any]) -> tuple[str, ...]:
    attempts = len(msgspec.json.decode(call["attempts"], type=list[msgspec.Raw]))
    return (
        call["id"], call["at"], call["use_case"], call["outcome"], _said(call["model"]), _said(call["provider"]),
        _said(call["reason"]), str(attempts), _said(call["seconds"]), _said(call["cost_usd"]), call["agent"] or "",
    )  # fmt: skip


def _attempt(number: int, attempt: AttemptRecord) -> tuple[str, ...]:
    usage = attempt.usage
    return (
        str(number), attempt.model, attempt.provider, attempt.reason, attempt.outcome, _said(attempt.status),
        _said(attempt.seconds), _said(attempt.first_token_seconds),
        UNKNOWN if usage is None else f"{usage.input_tokens:,}",
        UNKNOWN if usage is None else f"{usage.output_tokens:,}", _said(attempt.cost_usd),
    )  # fmt: skip


def _facts(call: Mapping[str, Any]) -> list[tuple[str, str]]:
    if call["facts"] is None:
        return []
    facts = msgspec.json.decode(call["facts"], type=CallFacts)
    rows = [("input tokens, estimated", f"{facts.input_tokens:,}"), ("needs", ", ".join(facts.needs) or "nothing")]
    if facts.max_output_tokens is not None:
        rows.append(("output tokens at most", f"{facts.max_output_tokens:,}"))
    for kind, values in (("header", facts.headers), ("metadata", facts.metadata)):
        rows += [(f"{kind} {name}", value) for name, value in sorted(values.items())]
    return rows


def _said(value: object) -> str:
    match value:
        case None:
            return UNKNOWN
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3f}"
        case msgspec.Raw():
            return bytes(value).decode()
        case _:
            return str(value) or "none"


def _empty(wanted: Wanted, *, is_away: bool) -> str:
    if is_away:
        return "Unknown while the ledger cannot be read."
    if wanted.query:
        return "No call is like that. Take a filter away, or widen the days."
    return "No call is booked yet. Point an agent's base URL at a sidecar; calls stand here some seconds later."
