"""What each path for programs takes and gives: the words of the OpenAPI document. Pages for people are not in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from controller.api.acts import MAX_REASON_CHARACTERS
from controller.api.bundles import MAX_ID_CHARACTERS
from controller.ledger.calls import MAX_PAGE_CALLS
from controller.ledger.query import KEYS
from schemas.bundle import SignedPointer
from schemas.record import UsageBatch, UsageReceipt
from schemas.spend import FleetSpend
from schemas.status import Fleet, SidecarStatus

Schema = dict[str, Any]

TYPES: Final = (SignedPointer, SidecarStatus, Fleet, FleetSpend, UsageBatch, UsageReceipt)
TEXT: Final = "text/plain"
EVENTS: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    schema: Schema
    means: str
    place: str = "query"
    is_list: bool = False
    """Several values in one word, with commas between them."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a path takes and gives."""

    summary: str
    gives: type | Schema | str | None
    """A type of ours, a schema of a JSON object, the content type of what is no JSON, or nothing at all."""
    takes: type | Schema | None = None
    parameters: Sequence[Parameter] = ()
    refuses: Sequence[int] = ()
    """Beside 401, 403 and 400, which every path may answer."""
    status: int = 200
    also: Mapping[int, str] = field(default_factory=dict)
    """Other answers without a body."""


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": sorted(properties), "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


STRING: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
ANY: Final[Schema] = {"type": "object"}
DAY: Final[Schema] = {"anyOf": [{"type": "string", "format": "date"}, {"const": ""}]}
ROLLOUT: Final = _object(
    seq=COUNT, reason=STRING, stable={"type": ["object", "null"]}, head={"type": ["object", "null"]},
    trial={"type": ["object", "null"]}, pin={"type": ["object", "null"]}, canaries=_list(ANY), past_canaries=_list(ANY),
    suspended={"type": ["string", "null"]}, rolled_back=_list(ANY), kept=_list(ANY),
)  # fmt: skip
STATUS: Final = _object(
    version=STRING, revision=STRING, seq=COUNT, rollout=ROLLOUT, live_sidecars=COUNT,
    ledger=_object(database=STRING, available={"type": "boolean"}, error=STRING, waiting_batches=COUNT),
)  # fmt: skip
PROBLEMS: Final = _object(
    source=STRING, revision=STRING, active_revision=STRING, active_digest=STRING, seq=COUNT, problems=_list(ANY),
    error=STRING, tried_at=STRING, fetched_at=STRING, activated_at=STRING,
)  # fmt: skip
ROWS: Final = _object(rows=_list(ANY))
CALLS: Final = {
    "type": "object", "required": ["calls", "next"],
    "properties": {"calls": _list(ANY), "next": {"type": ["string", "null"]}, "total": COUNT},
}  # fmt: skip

REASON: Final[Schema] = {
    "type": "string", "minLength": 1, "maxLength": MAX_REASON_CHARACTERS, "pattern": r"[^\s\x1c-\x1f]",
    "description": "Travels with the pointer and stands in the log.",
}  # fmt: skip
ACT: Final = _object(reason=REASON) | {"additionalProperties": False}
CANARY_ACT: Final = _object(reason=REASON, use_case={"type": "string"}) | {"additionalProperties": False}
PIN_ACT: Final[Schema] = {
    "type": "object", "required": ["reason", "bundle"], "additionalProperties": False, "properties": {
        "reason": REASON,
        "bundle": {"type": "string", "minLength": 1,
                   "description": "A digest or a revision that is still kept, or the beginning of one."},
        "ttl_seconds": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]},
    },
}  # fmt: skip

SCOPE: Final = Parameter("use_case", _list(STRING), "About these use cases alone; once or several times.")
DAYS: Final = (
    Parameter("since", DAY, "First day (UTC)."),
    Parameter("until", DAY, "Last day (UTC), included."),
)
BY: Final = Parameter("by", _list({"enum": [*KEYS]}) | {"minItems": 1}, "Keys of the rows.", is_list=True)
NO_LEDGER: Final = (503,)

PATHS: Final[Mapping[tuple[str, str], Said]] = {
    ("GET", "/v1/watch"): Said(
        "The current pointer at once, then every new one, as server-sent events.", EVENTS, refuses=(503,),
        parameters=(Parameter("id", {"type": "string", "maxLength": MAX_ID_CHARACTERS}, "The sidecar's own."), SCOPE),
    ),
    ("GET", "/v1/bundle"): Said(
        "The signed pointer to what the fleet runs.", SignedPointer, refuses=(503,), also={304: "Known already."},
        parameters=(
            SCOPE, Parameter("If-None-Match", STRING, "The ETag of what is known.", "header"),
            Parameter("Prefer", STRING, "`wait=N`: so many seconds for news.", "header"),
        ),
    ),
    ("GET", "/v1/bundle/{digest}"): Said(
        "A bundle's own bytes.", ANY, refuses=(404, 503),
        parameters=(SCOPE, Parameter("digest", STRING, "`sha256:…`", "path")),
    ),
    ("POST", "/v1/status"): Said(
        "What a sidecar says of itself.", None, takes=SidecarStatus, status=204, refuses=(413,), parameters=(SCOPE,)
    ),
    ("GET", "/v1/status"): Said("What this controller is and runs.", STATUS),
    ("GET", "/v1/fleet"): Said("Every sidecar.", Fleet),
    ("POST", "/v1/usage"): Said(
        "Records of calls, booked once each.", UsageReceipt, takes=UsageBatch, refuses=(413, 503), parameters=(SCOPE,)
    ),
    ("GET", "/v1/usage"): Said("Sums of calls.", ROWS, parameters=(BY, *DAYS), refuses=NO_LEDGER),
    ("GET", "/v1/feedback"): Said(
        "Scores of calls, by kind.", _object(rows=_list(ANY), unmatched=COUNT), parameters=(BY, *DAYS),
        refuses=NO_LEDGER,
    ),
    ("GET", "/v1/shadows"): Said(
        "What shadows answered beside what callers were answered.", ROWS, parameters=DAYS, refuses=NO_LEDGER
    ),
    ("GET", "/v1/calls"): Said(
        "Single calls, a page at a time.", CALLS, refuses=NO_LEDGER,
        parameters=(
            *DAYS, Parameter("after", STRING, "`next` of the page before."),
            Parameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_CALLS}, "Calls of a page."),
        ),
    ),
    ("GET", "/v1/spend"): Said("What ceilings are held against.", FleetSpend, parameters=(SCOPE,), refuses=NO_LEDGER),
    **{
        ("POST", f"/v1/{name}"): Said(summary, ROLLOUT, takes=kind, refuses=(409, 503))
        for name, kind, summary in (
            ("pin", PIN_ACT, "Everybody runs this bundle, whatever the repository says."),
            ("unpin", ACT, "Back to the stable bundle."),
            ("rollback", ACT, "Ends a trial, or goes back to what ran before."),
            ("promote", ACT, "The bundle on trial goes to all."),
            ("suspend", ACT, "No new revision is taken up."),
            ("resume", ACT, "New revisions are taken up again."),
            ("canary/stop", CANARY_ACT, "The primary has all traffic again."),
            ("canary/resume", CANARY_ACT, "A canary begins again where its rules begin."),
        )
    },
    ("GET", "/v1/problems"): Said("Why it runs what it runs.", PROBLEMS),
    ("POST", "/hooks/git"): Said(
        "A forge says that somebody has pushed; signed with --hook-secret.", None, status=202, refuses=(404,)
    ),
    ("GET", "/healthz"): Said("Alive.", _object(status=STRING)),
    ("GET", "/readyz"): Said("A bundle is loaded.", _object(status=STRING, revision=STRING, seq=COUNT), refuses=(503,)),
    ("GET", "/metrics"): Said("Prometheus' text format.", TEXT),
    ("GET", "/openapi.json"): Said("This document.", ANY),
}  # fmt: skip
"""Method and path → what is said of it."""
