"""Results files, JSON lines or CSV, to rows. Every problem is named with its line and what would be right.

Columns are the fields of `Row`; columns of other names are left alone. Each row needs `sample_id`; a file without any
`success` is refused.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, get_args

from controller.evals.rows import Row, Status
from controller.evals.values import (
    WrongValue,
    cost_of,
    count_of,
    duration_of,
    epoch_of,
    is_missing,
    success_of,
    text_of,
    written,
)
from schemas.problems import Problem, did_you_mean

STATUSES: Final[tuple[str, ...]] = get_args(Status)
SCORE_PREFIX: Final = "scores."
PARSERS: Final[Mapping[str, Callable[[object], object]]] = {
    **dict.fromkeys(
        ("model", "cluster", "slice", "provider", "run_id", "set_hash", "params_hash", "prompt_hash",
         "price_version", "harness_version", "ts"), text_of,
    ),
    "success": success_of, "epoch": epoch_of,
    "in_tok": count_of, "out_tok": count_of, "cached_tok": count_of,
    "ttft_ms": duration_of, "latency_ms": duration_of,
}  # fmt: skip
"""Columns that need nothing but their own cell."""


@dataclass(frozen=True, slots=True)
class Results:
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    cost_units: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By model, what stood beside its costs: "" for bare numbers."""

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(sorted({row.model for row in self.rows}))

    def of_model(self, model: str) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.model == model)


def load_results(path: Path, *, scores: Collection[str] = ()) -> Results:
    """`scores` names further columns to be read as scores.

    Raises:
        OSError: the file cannot be read.
    """
    return parse_results(path.read_bytes(), path.name, default_model=path.stem, scores=scores)


def parse_results(data: bytes, file: str, *, default_model: str, scores: Collection[str] = ()) -> Results:
    """`default_model` is whose results a row without a model are."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Results((), (_problem(file, line, "is not UTF-8", "save the file as UTF-8"),))
    reader = _Reader(file, default_model, frozenset(scores))
    records = _json_records if text.lstrip()[:1] in ("{", "[") else _csv_records
    record: Mapping[str, object] = {}
    for line, record in records(text, reader):
        reader.take(line, record)
    reader.finish(record)
    return Results(
        tuple(reader.rows),
        tuple(reader.problems),
        {model: frozenset(units) for model, units in reader.units.items()},
    )


class _Reader:
    def __init__(self, file: str, default_model: str, scores: frozenset[str]) -> None:
        self.file = file
        self.default_model = default_model
        self.score_columns = scores
        self.has_success = False
        self.rows: list[Row] = []
        self.problems: list[Problem] = []
        self.units: defaultdict[str, set[str]] = defaultdict(set)

    def say(self, line: int, message: str, suggestion: str, path: str = "") -> None:
        self.problems.append(_problem(self.file, line, message, suggestion, path))

    def take(self, line: int, record: Mapping[str, object]) -> None:
        before = len(self.problems)
        if "sample_id" not in record:
            self.lacks("sample_id", line, record)
            return
        self.has_success = self.has_success or "success" in record
        values: dict[str, Any] = {}
        for name, parse in PARSERS.items():
            if not is_missing(record.get(name)):
                values[name] = self._cell(line, record, name, parse)
        values.setdefault("success", None)
        sample_id = self._cell(line, record, "sample_id", text_of)
        if sample_id is None:
            self.say(line, "is empty", "every result belongs to a sample", "sample_id")
        cost = self._cell(line, record, "cost_usd", cost_of)
        status = self._cell(line, record, "status", _status_of)
        values["scores"] = self._scores(line, record)
        values["grader_versions"] = self._versions(line, record)
        if len(self.problems) > before:
            return
        values["model"] = values.get("model") or self.default_model
        row = Row(sample_id=sample_id, status=status, cost_usd=cost.usd, **values)
        self.rows.append(row)
        if not is_missing(record.get("cost_usd")):
            self.units[row.model].add(cost.unit)

    def finish(self, record: Mapping[str, object]) -> None:
        """`record` is the last one: what a file without the metric has instead."""
        if not self.rows and not self.problems:
            self.say(0, "holds no results", "one JSON object or one CSV line per sample and model")
        elif self.rows and not self.has_success:
            self.lacks("success", 0, record)

    def lacks(self, name: str, line: int, record: Mapping[str, object]) -> None:
        near = did_you_mean(name, record)
        found = ", ".join(list(record)[:12]) or "nothing"
        hint = (
            f"rename the right one; {near}" if near else "rename the right one, or let `pointsman eval import` turn it"
        )
        self.say(line, f"has no {name}; it has {found}", hint)

    def _cell(self, line: int, record: Mapping[str, object], name: str, parse: Callable[[object], Any]) -> Any:
        value = record.get(name)
        try:
            return parse(value)
        except WrongValue as error:
            self.say(line, f"{_shown(value)} cannot be read", str(error), name)
            return None

    def _scores(self, line: int, record: Mapping[str, object]) -> dict[str, float | None]:
        found = dict(self._object(line, record, "scores"))
        for name, value in record.items():
            if name.startswith(SCORE_PREFIX):
                found[name.removeprefix(SCORE_PREFIX)] = value
            elif name in self.score_columns:
                found[name] = value
        scores: dict[str, float | None] = {}
        for name, value in found.items():
            try:
                scores[written(name)] = success_of(value)
            except WrongValue as error:
                self.say(line, f"{_shown(value)} cannot be read", str(error), f"scores.{name}")
        return scores

    def _versions(self, line: int, record: Mapping[str, object]) -> dict[str, str]:
        return {
            written(name): written(str(value)) for name, value in self._object(line, record, "grader_versions").items()
        }

    def _object(self, line: int, record: Mapping[str, object], name: str) -> Mapping[str, object]:
        value = record.get(name)
        if is_missing(value):
            return {}
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = None
        if isinstance(value, dict):
            return value
        self.say(line, f"{_shown(record.get(name))} cannot be read", 'write an object: {"exact": 1}', name)
        return {}


def _status_of(value: object) -> str:
    if is_missing(value):
        return "ok"
    word = str(value).strip().lower()
    if word not in STATUSES:
        raise WrongValue(f"one of {', '.join(STATUSES)}")
    return word


def _json_records(text: str, reader: _Reader) -> Iterator[tuple[int, Mapping[str, object]]]:
    if text.lstrip().startswith("["):
        yield from _json_array(text, reader)
        return
    # Only a line feed ends a line: a JSON text may hold the other separators that `splitlines` knows.
    for line, words in enumerate(text.split("\n"), start=1):
        if not words.strip():
            continue
        try:
            record = json.loads(words, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            place = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            reader.say(line, f"is no JSON{place}", "one complete JSON object per line")
            continue
        if isinstance(record, dict):
            yield line, record
        else:
            reader.say(line, "is no JSON object", 'write {"sample_id": …, "success": …}')


def _json_array(text: str, reader: _Reader) -> Iterator[tuple[int, Mapping[str, object]]]:
    try:
        records = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
        reader.say(line, "is no JSON", "a JSON array of objects, or one object per line")
        return
    for number, record in enumerate(records, start=1):
        if isinstance(record, dict):
            yield number, record
        else:
            reader.say(number, "is no JSON object", 'write {"sample_id": …, "success": …}')


def _csv_records(text: str, reader: _Reader) -> Iterator[tuple[int, Mapping[str, object]]]:
    head = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t|", key=head.count)
    # A cell may be longer than the module's own bound of 128 KiB: exports carry whole answers.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if names is None:
                names = [cell.strip() for cell in cells]
                twice = sorted({name for name in names if name and names.count(name) > 1})
                if twice:
                    reader.say(lines.line_num, f"names {', '.join(twice)} twice", "give each column its own name")
                    return
                if "sample_id" not in names:
                    reader.lacks("sample_id", lines.line_num, dict.fromkeys(names))
                    return
            elif len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
                reader.say(
                    lines.line_num,
                    f"has {len(cells)} cells, the head {len(names)}",
                    "put quotes around a cell with a comma",
                )
            else:
                yield lines.line_num, {name: cell for name, cell in zip(names, cells, strict=False) if name}
    except csv.Error as error:
        reader.say(lines.line_num, f"is no CSV: {error}", "close every quote that is opened")


def _problem(file: str, line: int, message: str, suggestion: str, path: str = "") -> Problem:
    return Problem(file, line, 0, "unclear-result", "error", message, suggestion, path)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"
