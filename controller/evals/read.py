"""Results files, JSON lines or CSV, to rows. Every problem is named with its line and what would be right.

Columns are the fields of `Row`; columns of other names are left alone. Each row needs `sample_id`; a file without any
`success` is refused.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from controller.evals.records import Record, records_in
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
    return reader.read(records_in(text, reader.say))


def read_records(records: Iterable[tuple[int, Record]], file: str, *, default_model: str) -> Results:
    """Records whose columns are the fields of `Row`, each with its place in the file."""
    return _Reader(file, default_model, frozenset()).read(records)


class _Reader:
    def __init__(self, file: str, default_model: str, scores: frozenset[str]) -> None:
        self.file = file
        self.default_model = default_model
        self.score_columns = scores
        self.has_success = False
        self.lacking: Set[str] | None = None
        self.rows: list[Row] = []
        self.problems: list[Problem] = []
        self.units: defaultdict[str, set[str]] = defaultdict(set)

    def read(self, records: Iterable[tuple[int, Record]]) -> Results:
        record: Record = {}
        for line, record in records:
            self.take(line, record)
        self.finish(record)
        units = {model: frozenset(beside) for model, beside in self.units.items()}
        return Results(tuple(self.rows), tuple(self.problems), units)

    def say(self, line: int, message: str, suggestion: str, path: str = "") -> None:
        self.problems.append(_problem(self.file, line, message, suggestion, path))

    def take(self, line: int, record: Record) -> None:
        before = len(self.problems)
        if "sample_id" not in record:
            # Records of one form lack it all; the first says so.
            if record.keys() != self.lacking:
                self.lacks("sample_id", line, record)
            self.lacking = record.keys()
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

    def finish(self, record: Record) -> None:
        """`record` is the last one: what a file without the metric has instead."""
        if not self.rows and not self.problems:
            self.say(0, "holds no results", "one JSON object or one CSV line per sample and model")
        elif self.rows and not self.has_success:
            self.lacks("success", 0, record)

    def lacks(self, name: str, line: int, record: Record) -> None:
        near = did_you_mean(name, record)
        found = ", ".join(list(record)[:12]) or "nothing"
        hint = (
            f"rename the right one; {near}" if near else "rename the right one, or let `pointsman eval import` turn it"
        )
        self.say(line, f"has no {name}; it has {found}", hint)

    def _cell(self, line: int, record: Record, name: str, parse: Callable[[object], Any]) -> Any:
        value = record.get(name)
        try:
            return parse(value)
        except WrongValue as error:
            self.say(line, f"{_shown(value)} cannot be read", str(error), name)
            return None

    def _scores(self, line: int, record: Record) -> dict[str, float | None]:
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

    def _versions(self, line: int, record: Record) -> dict[str, str]:
        return {
            written(name): written(str(value)) for name, value in self._object(line, record, "grader_versions").items()
        }

    def _object(self, line: int, record: Record, name: str) -> Mapping[str, object]:
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


def _problem(file: str, line: int, message: str, suggestion: str, path: str = "") -> Problem:
    return Problem(file, line, 0, "unclear-result", "error", message, suggestion, path)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"
