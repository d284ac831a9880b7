"""Logs of Inspect AI: `.eval` (a zip of JSON, zstd since 0.3.1xx) and `.json`. Pure.

Fields as in `inspect_ai.log` 0.3.285 (`EvalLog`, `EvalSample`). A sample that failed has no scores there, and averages
leave it out; here it is a row.
"""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import takewhile
from typing import Any, Final

from controller.evals.imports.found import (
    Found,
    Unclear,
    at,
    digest_of,
    json_in,
    list_at,
    number_at,
    parts_at,
    total_of,
    words_at,
)

ZIP: Final = b"PK\x03\x04"
ZSTD: Final = 93
"""Its number as a method of compression in a zip file (APPNOTE 6.3.8)."""
LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")
STOPPED: Final = {"max_tokens": "length", "model_length": "length", "content_filter": "refusal"}
OUT_OF_TIME: Final = frozenset({"time", "working"})
ANSWERING: Final = (
    "temperature", "top_p", "top_k", "max_tokens", "seed", "stop_seqs", "frequency_penalty", "presence_penalty",
    "reasoning_effort", "reasoning_tokens", "system_message",
)  # fmt: skip
"""Settings that shape an answer; the others say how it is fetched."""


def fits(data: bytes) -> bool:
    if data.startswith(ZIP):
        return True
    head = data[:4096].lstrip()
    return head.startswith(b"{") and b'"eval"' in head and b'"task"' in head


def read(data: bytes) -> Iterator[Found]:
    """
    Raises:
        Unclear: it is no such log, or holds no samples.
    """
    header, samples = _unzipped(data) if data.startswith(ZIP) else _whole(json_in(data))
    spec = at(header, "eval")
    model = words_at(spec, "model")
    if model is None:
        raise Unclear("has no eval.model", "give a log that Inspect AI wrote")
    version = words_at(spec, "packages", "inspect_ai")
    common = {
        "model": model,
        "run_id": words_at(spec, "run_id"),
        "harness_version": f"inspect_ai {version}" if version else None,
        "params_hash": _settings(at(spec, "model_generate_config")),
    }
    headline = _headline(at(header, "results", "headline"))
    for number, sample in enumerate(samples, start=1):
        if not isinstance(sample, dict) or "id" not in sample:
            raise Unclear("is no sample of Inspect's", "give a log that Inspect AI wrote", number)
        yield _found(number, sample, common, headline)


def status_of(data: bytes) -> str:
    """`success`, `error`, `cancelled` or `started`: whether the run got to its end."""
    header, _ = _unzipped(data) if data.startswith(ZIP) else (json_in(data), ())
    return words_at(header, "status") or "started"


def _found(number: int, sample: dict[str, Any], common: Mapping[str, Any], headline: str | None) -> Found:
    scores = {name: value for name, score in parts_at(sample, "scores").items() for name, value in _flat(name, score)}
    usage = at(sample, "model_usage", common["model"])
    status = _status(sample)
    columns: dict[str, Any] = {
        **common,
        "sample_id": sample["id"],
        "epoch": sample.get("epoch", 1),
        "status": status,
        "cluster": words_at(sample, "metadata", "cluster"),
        "slice": words_at(sample, "metadata", "slice"),
        "prompt_hash": digest_of(_said(sample.get("input"))),
        "in_tok": _input_tokens(usage),
        "out_tok": number_at(usage, "output_tokens"),
        "cached_tok": number_at(usage, "input_tokens_cache_read"),
        "cost_usd": number_at(usage, "total_cost"),
        "latency_ms": _latency(sample),
        "ts": words_at(sample, "completed_at"),
    }
    if headline is not None:
        columns["success"] = scores.get(headline)
    return Found(number, columns, sample, scores)


def _status(sample: Mapping[str, Any]) -> str:
    if sample.get("invalidation"):
        return "grader_error"
    if sample.get("error"):
        return "grader_error" if _was_grading(list_at(sample, "events")) else "model_error"
    limit = words_at(sample, "limit", "type")
    if limit is not None:
        return "timeout" if limit in OUT_OF_TIME else "length"
    return STOPPED.get(words_at(sample, "output", "choices", 0, "stop_reason") or "", "ok")


def _was_grading(events: list[Any]) -> bool:
    """Whether the sample failed after its answer stood."""
    return any(_starts_grading(event) for event in events)


def _starts_grading(event: Any) -> bool:
    return (at(event, "event"), at(event, "type")) == ("span_begin", "scorers")


def _latency(sample: Mapping[str, Any]) -> Decimal | None:
    """What the model and its tools took, in milliseconds: without waiting for a turn, and without grading."""
    answering = takewhile(lambda event: not _starts_grading(event), list_at(sample, "events"))
    steps = [number_at(event, "working_time") for event in answering if at(event, "event") in ("model", "tool")]
    seconds = total_of(iter(steps))
    if seconds is None:
        seconds = number_at(sample, "working_time")
    return None if seconds is None else seconds * 1000


def _input_tokens(usage: Any) -> Decimal | None:
    """Inspect's `input_tokens` leaves out those that were read from or written to a cache."""
    fresh = number_at(usage, "input_tokens")
    if fresh is None:
        return None
    cached = (number_at(usage, name) for name in ("input_tokens_cache_read", "input_tokens_cache_write"))
    return fresh + sum((tokens for tokens in cached if tokens is not None), Decimal(0))


def _flat(name: str, score: Any) -> Iterator[tuple[str, Any]]:
    """A score may hold several values: `shape.words`."""
    value = at(score, "value")
    if isinstance(value, dict):
        yield from ((f"{name}.{part}", one) for part, one in value.items())
    elif isinstance(value, list):
        yield from ((f"{name}.{part}", one) for part, one in enumerate(value))
    else:
        yield name, value


def _headline(headline: Any) -> str | None:
    """The score that Inspect itself shows first."""
    scorer, score = words_at(headline, "scorer"), words_at(headline, "score")
    return scorer if scorer is None or score in (None, scorer) else f"{scorer}.{score}"


def _said(asked: Any) -> Any:
    if not isinstance(asked, list):
        return asked
    return [{"role": at(turn, "role"), "content": at(turn, "content")} for turn in asked]


def _settings(config: Any) -> str | None:
    known = {name: value for name in ANSWERING if (value := at(config, name)) is not None}
    return digest_of(known) if known else None


def _whole(document: Any) -> tuple[Any, list[Any]]:
    samples = at(document, "samples")
    if not isinstance(samples, list):
        raise Unclear("holds no samples", "run Inspect with its samples logged (--log-samples)")
    return document, samples


def _unzipped(data: bytes) -> tuple[Any, Iterator[Any]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise Unclear("is no zip file", "copy the log again: it may have been cut") from error
    names = {info.filename: info for info in archive.infolist()}
    # A run that was cut off has no header yet, but the journal of its start.
    head = names.get("header.json") or names.get("_journal/start.json")
    if head is None:
        raise Unclear("is no log of Inspect's", "it has a header.json and samples")
    samples = [info for name, info in names.items() if name.startswith("samples/") and name.endswith(".json")]
    if not samples:
        raise Unclear("holds no samples", "run Inspect with its samples logged (--log-samples)")
    return _member(archive, data, head), (_member(archive, data, info) for info in samples)


def _member(archive: zipfile.ZipFile, data: bytes, info: zipfile.ZipInfo) -> Any:
    try:
        try:
            text = archive.read(info)
        except NotImplementedError:
            # Python's own zipfile knows zstd from 3.14 on.
            text = _zstd(data, info)
        return json.loads(text, parse_float=Decimal)
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, RecursionError, struct.error) as error:
        raise Unclear(f"cannot be read at {info.filename}", "copy the log again: it may be damaged") from error


def _zstd(data: bytes, info: zipfile.ZipInfo) -> bytes:
    if info.compress_type != ZSTD:
        raise ValueError(f"compression {info.compress_type}")
    try:
        import zstandard
    except ImportError as error:
        wanted = "pip install 'pointsman[inspect-logs]', or `inspect log convert --to json` it"
        raise Unclear("is compressed by zstd, which this Python cannot read", wanted) from error
    *_, name, extra = LOCAL_HEADER.unpack_from(data, info.header_offset)
    start = info.header_offset + LOCAL_HEADER.size + name + extra
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(data[start : start + info.compress_size])
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
