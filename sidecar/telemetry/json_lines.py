"""Logs as JSON, one object a line, and one line for each call. Never a prompt, an answer or a key."""

import logging
import re
from datetime import UTC, datetime

import msgspec

from schemas.record import CallRecord
from sidecar.accounting.books import OK, usd_text
from sidecar.trace_context import parse_parent

# `event.name key=value …` is how our own lines read.
_EVENT = re.compile(r"[a-z_]+\.[a-z_]+(?=\s|$)")

calls = logging.getLogger("pointsman.calls")


class JsonLines(logging.Formatter):
    """A record of `logging` as one JSON object; a traceback stands inside it."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {"time": at, "level": record.levelname.lower()}
        fields = getattr(record, "fields", None)
        if fields is None:
            message = record.getMessage()
            event = _EVENT.match(message)
            line |= {"event": event[0]} if event else {}
            line["message"] = message
        else:
            line |= {"event": record.msg, **fields}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class CallLog:
    """A `CallObserver`."""

    def observe(self, record: CallRecord) -> None:
        calls.info("call.finished", extra={"fields": call_fields(record)})


def call_fields(record: CallRecord) -> dict[str, object]:
    """What a line says of a call; what is empty or unknown is left out."""
    usage = record.usage
    caller = parse_parent(record.trace)
    fields: dict[str, object] = {
        "id": record.id,
        "trace_id": "" if caller is None else f"{caller.trace_id:032x}",
        "use_case": record.use_case,
        "agent": record.agent,
        "caller": record.caller,
        "operation": record.operation,
        "outcome": record.outcome,
        "status": record.status or None,
        "model": record.model,
        "provider": record.provider,
        "reason": record.reason,
        "attempts": len(record.attempts),
        "failed": [f"{each.model}@{each.provider}: {each.outcome}" for each in record.attempts if each.outcome != OK],
        "stream": record.stream,
        "seconds": round(record.seconds, 4),
        "first_token_seconds": None if record.first_token_seconds is None else round(record.first_token_seconds, 4),
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
        "estimated": record.estimated or None,
        "cost_usd": None if record.cost_usd is None else usd_text(record.cost_usd),
        "wasted_usd": usd_text(record.wasted_usd) if record.wasted_usd else None,
        "revision": record.revision,
    }
    return {name: value for name, value in fields.items() if value is not None and value not in ("", [])}
