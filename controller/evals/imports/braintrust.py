"""Experiments of Braintrust, exported as JSON, JSON lines or CSV, or fetched from its API. Pure.

Fields as in its `ExperimentEvent` (SDK 0.48.1). A trace is a root with spans below it; a file of roots alone says
less of tokens and time. What scorers ask is no part of the answer's cost.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from controller.evals.imports.found import (
    Found,
    Unclear,
    at,
    cell_value,
    digest_of,
    json_records,
    number_at,
    parts_at,
    refuse,
    text_in,
    total_of,
    words_at,
)
from controller.evals.records import Record, records_in

NAMES_EXPERIMENTS: Final = (b'"root_span_id"', b'"span_attributes"', b"root_span_id")


def fits(data: bytes) -> bool:
    return any(name in data[:200_000] for name in NAMES_EXPERIMENTS)


def read(data: bytes) -> Iterator[Found]:
    """
    Raises:
        Unclear: it is no such export.
    """
    spans = list(_spans(data))
    below: defaultdict[str, list[Record]] = defaultdict(list)
    for _, span in spans:
        if not _is_root(span):
            below[words_at(span, "root_span_id") or ""].append(span)
    roots = [(number, span) for number, span in spans if _is_root(span)]
    if not any("scores" in span for _, span in spans):
        raise Unclear("has no spans with scores", "export an experiment of Braintrust, with its scores")
    if not roots:
        raise Unclear("has no root spans", "export whole traces of an experiment")
    for number, root in roots:
        yield _found(number, root, below.get(words_at(root, "root_span_id") or "", []))


def _found(number: int, root: Record, spans: list[Record]) -> Found:
    calls = [span for span in spans if _kind(span) == "llm" and at(span, "span_attributes", "purpose") != "scorer"]
    failed = parts_at(root, "metadata", "scorer_errors")
    scores: dict[str, Any] = dict.fromkeys(failed)
    # A scorer's own span has its score; the root may have it too, or have been corrected by hand.
    for span in (*spans, root):
        scores |= {name: score for name, score in parts_at(span, "scores").items() if score is not None}
    columns = {
        "model": _model(root, calls),
        "run_id": words_at(root, "experiment_id"),
        "sample_id": _sample_id(root),
        "status": "model_error" if root.get("error") else "ok",
        "cluster": words_at(root, "metadata", "cluster"),
        "slice": words_at(root, "metadata", "slice"),
        "prompt_hash": digest_of(root.get("input")),
        "in_tok": _sum(root, calls, "prompt_tokens"),
        "out_tok": _sum(root, calls, "completion_tokens"),
        "cached_tok": _sum(root, calls, "prompt_cached_tokens"),
        "cost_usd": _sum(root, calls, "estimated_cost"),
        "ttft_ms": _in_ms(_first(root, calls)),
        "latency_ms": _in_ms(_seconds(root, spans)),
        "ts": words_at(root, "created"),
    }
    return Found(number, columns, root, scores)


def _sample_id(root: Record) -> str:
    """The record of the data set that it is from; else the input, by which Braintrust itself tells cases apart."""
    if at(root, "origin", "object_type") == "dataset" and (record := words_at(root, "origin", "id")):
        return record
    return words_at(root, "dataset_record_id") or digest_of(root.get("input"))


def _model(root: Record, calls: list[Record]) -> str | None:
    named = words_at(root, "metadata", "model")
    called = sorted({name for span in calls if (name := words_at(span, "metadata", "model"))})
    return named or (" + ".join(called) or None)


def _sum(root: Record, calls: list[Record], metric: str) -> Decimal | None:
    whole = number_at(root, "metrics", metric)
    return total_of(number_at(span, "metrics", metric) for span in calls) if whole is None else whole


def _first(root: Record, calls: list[Record]) -> Decimal | None:
    whole = number_at(root, "metrics", "time_to_first_token")
    return number_at(calls[0], "metrics", "time_to_first_token") if whole is None and calls else whole


def _seconds(root: Record, spans: list[Record]) -> Decimal | None:
    """What the task took; the root also covers its grading."""
    for span in [span for span in spans if _kind(span) == "task"] or [root]:
        start, end = number_at(span, "metrics", "start"), number_at(span, "metrics", "end")
        if start is not None and end is not None:
            return end - start
    return number_at(root, "metrics", "duration")


def _in_ms(seconds: Decimal | None) -> Decimal | None:
    return None if seconds is None else seconds * 1000


def _is_root(span: Record) -> bool:
    if isinstance(span.get("is_root"), bool):
        return bool(span["is_root"])
    return not span.get("span_parents") and at(span, "span_attributes", "type") in (None, "eval")


def _kind(span: Mapping[str, Any]) -> Any:
    return at(span, "span_attributes", "type")


def _spans(data: bytes) -> Iterator[tuple[int, Record]]:
    text = text_in(data)
    if text.lstrip()[:1] in ("{", "["):
        yield from json_records(data, "data" if b'"data"' in data[:4096] else "events")
        return
    for number, cells in records_in(text, refuse):
        yield number, _nested(cells)


def _nested(cells: Record) -> Record:
    """A line of CSV: a cell may hold JSON, and a column may name a part, as `scores.exact`."""
    record: dict[str, Any] = {}
    for name, cell in cells.items():
        value = cell_value(cell)
        whole, _, part = name.partition(".")
        if part and whole in ("scores", "metadata", "metrics", "origin", "span_attributes"):
            parts = record.setdefault(whole, {})
            if isinstance(parts, dict):
                parts[part] = value
        else:
            record[name] = value
    return record
