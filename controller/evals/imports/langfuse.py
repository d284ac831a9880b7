"""Exports of Langfuse: its tables of traces and observations as JSON or CSV, experiment items from its API. Pure.

Fields as in its batch exports (worker/src/features/database-read-stream: traces, observations, and events of version 4)
and in `ExperimentItem` (SDK 5.0.4). Tables give each score a column of its own, with a list of values.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from controller.evals.imports.found import (
    Found,
    Unclear,
    at,
    cell_value,
    digest_of,
    json_records,
    list_at,
    number_at,
    refuse,
    text_in,
    total_of,
    words_at,
)
from controller.evals.records import Record, records_in

TRACES: Final = frozenset(
    {
        "id", "timestamp", "name", "userId", "sessionId", "release", "version", "environment", "tags",
        "bookmarked", "public", "input", "output", "metadata", "latency", "usage", "inputCost", "outputCost",
        "totalCost", "level", "errorCount", "warningCount", "defaultCount", "debugCount", "observationCount",
        "inputTokens", "outputTokens", "totalTokens", "comments", "projectId", "createdAt", "updatedAt",
        "externalId",
    }
)  # fmt: skip
OBSERVATIONS: Final = frozenset(
    {
        "id", "traceId", "traceName", "traceTags", "traceTimestamp", "type", "name", "startTime", "endTime",
        "completionStartTime", "environment", "version", "userId", "sessionId", "level", "statusMessage",
        "promptName", "promptId", "promptVersion", "model", "modelId", "internalModelId", "providedModelName",
        "modelParameters", "usageDetails", "costDetails", "providedUsageDetails", "providedCostDetails",
        "totalCost", "inputCost", "outputCost", "calculatedInputCost", "calculatedOutputCost",
        "calculatedTotalCost", "input", "output", "metadata", "latency", "latencyMs", "timeToFirstToken",
        "timeToFirstTokenMs", "tags", "release", "parentObservationId", "comments", "inputUsage",
        "outputUsage", "totalUsage", "promptTokens", "completionTokens", "totalTokens", "inputTokens",
        "outputTokens", "usage", "unit", "inputPrice", "outputPrice", "totalPrice", "usagePricingTierId",
        "usagePricingTierName", "toolDefinitions", "toolCalls", "toolDefinitionsCount", "toolCallsCount",
        "projectId", "createdAt", "updatedAt", "bookmarked", "public",
    }
)  # fmt: skip
"""Columns that are no scores, over the versions."""
FAILED: Final = "ERROR"
IN_MS: Final = 1000


def fits(data: bytes) -> bool:
    head = data[:200_000]
    return b"experimentItemId" in head or (b"environment" in head and (b"traceId" in head or b"sessionId" in head))


def read(data: bytes) -> Iterator[Found]:
    """
    Raises:
        Unclear: it is no such export.
    """
    records = list(_records(data))
    first = records[0][1] if records else {}
    if "experimentItemId" in first:
        return (_item(number, record) for number, record in records)
    if "traceId" in first and "type" in first:
        return _observed(records)
    if "id" in first and "timestamp" in first and "traceId" not in first:
        return (_trace(number, record) for number, record in records)
    raise Unclear(
        f"is no table of traces or observations, and no experiment items; it has {', '.join(list(first)[:12])}",
        "export the traces of the runs from Langfuse's table",
    )


def _item(number: int, item: Record) -> Found:
    start, end = (_seconds_of(words_at(item, name)) for name in ("startTime", "endTime"))
    metadata = [item.get("experimentMetadata"), item.get("metadata")]
    columns = {
        **_of_metadata([item.get("experimentItemMetadata"), *metadata]),
        "model": _model(metadata) or words_at(item, "experimentName"),
        "run_id": words_at(item, "experimentId"),
        "sample_id": item.get("experimentItemId"),
        "status": "model_error" if item.get("level") == FAILED else "ok",
        "prompt_hash": digest_of(item["input"]) if item.get("input") is not None else None,
        "latency_ms": None if start is None or end is None else (end - start) * IN_MS,
        "ts": words_at(item, "endTime"),
    }
    given = [(words_at(score, "name") or "", at(score, "value")) for score in list_at(item, "scores")]
    names = dict.fromkeys(name for name, _ in given)
    return Found(number, columns, item, {name: _one([value for own, value in given if own == name]) for name in names})


def _trace(number: int, trace: Record) -> Found:
    seconds = number_at(trace, "latency")
    columns = {
        **_of_metadata([trace.get("metadata")]),
        "model": _model([trace.get("metadata")]),
        "run_id": words_at(trace, "metadata", "experiment_run_name"),
        "sample_id": _sample_id(trace),
        "status": "model_error" if trace.get("level") == FAILED else "ok",
        "prompt_hash": digest_of(trace.get("input")),
        "in_tok": _some(number_at(trace, "inputTokens")),
        "out_tok": _some(number_at(trace, "outputTokens")),
        "cost_usd": number_at(trace, "totalCost"),
        "latency_ms": None if seconds is None else seconds * IN_MS,
        "ts": words_at(trace, "timestamp"),
    }
    return Found(number, columns, trace, _scores(trace, TRACES))


def _observed(records: list[tuple[int, Record]]) -> Iterator[Found]:
    """A result per trace: scores stand at one of its observations, models and costs at its generations."""
    traces: defaultdict[str, list[tuple[int, Record]]] = defaultdict(list)
    for number, record in records:
        traces[words_at(record, "traceId") or ""].append((number, record))
    for rows in traces.values():
        scored = [
            (number, row) for number, row in rows if any(v is not None for v in _scores(row, OBSERVATIONS).values())
        ]
        roots = [(number, row) for number, row in rows if not row.get("parentObservationId")]
        number, row = (scored or roots or rows)[0]
        yield _observation(number, row, [row for _, row in rows])


def _observation(number: int, row: Record, rows: list[Record]) -> Found:
    calls = [one for one in rows if one.get("type") == "GENERATION"]
    models = sorted(
        {name for call in calls if (name := words_at(call, "providedModelName") or words_at(call, "model"))}
    )
    scores: dict[str, Any] = {}
    for one in rows:
        scores |= {name: value for name, value in _scores(one, OBSERVATIONS).items() if scores.get(name) is None}
    columns = {
        **_of_metadata([row.get("metadata")]),
        "model": " + ".join(models) or _model([row.get("metadata")]),
        "run_id": words_at(row, "metadata", "experiment_run_name"),
        "sample_id": _sample_id(row),
        "status": "model_error" if any(one.get("level") == FAILED for one in (row, *calls)) else "ok",
        "prompt_hash": digest_of(row.get("input")),
        "in_tok": total_of(_tokens(call, "input") for call in calls),
        "out_tok": total_of(_tokens(call, "output") for call in calls),
        "cost_usd": total_of(number_at(call, "totalCost") for call in calls),
        "ttft_ms": _milliseconds(calls[0], "timeToFirstToken") if calls else None,
        "latency_ms": _milliseconds(row, "latency"),
        "ts": words_at(row, "endTime"),
    }
    return Found(number, columns, row, scores)


def _tokens(call: Record, side: str) -> Decimal | None:
    """`usageDetails` has parts whose names begin with the side: `input`, `input_cached_tokens`, …"""
    details = call.get("usageDetails")
    if isinstance(details, Mapping) and details:
        return total_of(number_at(details, name) for name in details if name.startswith(side))
    older = {"input": ("inputUsage", "promptTokens", "inputTokens"), "output": ("outputUsage", "completionTokens")}
    return next((found for name in older[side] if (found := _some(number_at(call, name))) is not None), None)


def _milliseconds(row: Record, name: str) -> Decimal | None:
    exact = number_at(row, f"{name}Ms")
    seconds = number_at(row, name)
    return exact if exact is not None or seconds is None else seconds * IN_MS


def _some(count: Decimal | None) -> Decimal | None:
    """Tables write 0 where nothing was counted."""
    return count or None


def _sample_id(row: Record) -> str:
    return words_at(row, "metadata", "dataset_item_id") or digest_of(row.get("input"))


def _model(metadata: list[Any]) -> str | None:
    return next((name for one in metadata if (name := words_at(one, "model"))), None)


def _of_metadata(metadata: list[Any]) -> dict[str, str | None]:
    return {
        name: next((found for one in metadata if (found := words_at(one, name))), None) for name in ("cluster", "slice")
    }


def _scores(row: Record, known: frozenset[str]) -> dict[str, Any]:
    nested = row.get("scores")
    own = nested if isinstance(nested, dict) else {n: v for n, v in row.items() if n not in known and n != "scores"}
    return {name: _one(value) for name, value in own.items()}


def _one(values: Any) -> Any:
    """The mean of numbers, or the only word; None where nobody scored."""
    if not isinstance(values, list):
        return values
    numbers = [
        number
        for number in (number_at([float(v) if isinstance(v, bool) else v], 0) for v in values)
        if number is not None
    ]
    if len(numbers) == len(values):
        return sum(numbers, Decimal(0)) / len(numbers) if numbers else None
    return values[0] if len(values) == 1 else ", ".join(str(value) for value in values)


def _seconds_of(moment: str | None) -> Decimal | None:
    try:
        return None if moment is None else Decimal(str(datetime.fromisoformat(moment).timestamp()))
    except ValueError:
        return None


def _records(data: bytes) -> Iterator[tuple[int, Record]]:
    text = text_in(data)
    if text.lstrip()[:1] in ("{", "["):
        yield from json_records(data, "data")
        return
    for number, cells in records_in(text, refuse):
        yield number, {name: cell_value(cell) for name, cell in cells.items()}
