"""How one call ended, and what it cost by the gateway's own ledger."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from controller.evals.graders.answer import Answer, ToolCall
from schemas.record import CallRecord, Usd

Ending: TypeAlias = Literal["ok", "model_error", "timeout", "refusal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A call that has an end: an answer, or the model's own failure."""

    call_id: str
    """The gateway's."""
    ending: Ending
    at: str
    """When it ended: RFC 3339, UTC."""
    answer: Answer | None = None
    error: str = ""
    """Why there is no answer, in the gateway's words."""
    provider: str | None = None
    bundle: str | None = None
    """Digest of the rules that were in force, prices included."""
    in_tok: int | None = None
    out_tok: int | None = None
    cached_tok: int | None = None
    cost_usd: Usd | None = None
    """Failed attempts included; None where it is not known."""
    ttft_ms: float | None = None
    latency_ms: float | None = None


def cost_of(record: CallRecord) -> Usd | None:
    """All that a call cost. None where its price is not known, or where nothing was used as far as is known."""
    if record.cost_usd is not None:
        return record.cost_usd + record.wasted_usd
    return record.wasted_usd or None


def is_billed(record: CallRecord) -> bool:
    """Whether a call that gave us no answer may have cost something."""
    return cost_of(record) is not None or record.outcome in ("ok", "client_closed", "unknown_outcome")


def as_mapping(answered: Answered) -> dict[str, Any]:
    given = {name: value for name, value in asdict(answered).items() if value not in (None, "")}
    if answered.cost_usd is not None:
        given["cost_usd"] = str(answered.cost_usd)
    return given


def parse_answered(given: Mapping[str, Any]) -> Answered:
    """Raises TypeError, KeyError or ValueError: it is none."""
    values = dict(given)
    if (answer := values.get("answer")) is not None:
        calls = tuple(ToolCall(**call) for call in answer["tool_calls"])
        values["answer"] = Answer(**{**answer, "tool_calls": calls})
    if (cost := values.get("cost_usd")) is not None:
        values["cost_usd"] = Decimal(cost)
    return Answered(**values)
