"""JSON lines of an eval folder (`set.jsonl`, calibrations) to samples, with every problem and its place. Pure."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

from schemas.problems import Problem
from schemas.rules.eval_sample import CalibrationSample, EvalSample
from schemas.validate import shown, validate_document
from schemas.yaml_source import Document, parse_yaml

MAX_SET_BYTES: Final = 64 << 20
MOST_BAD_LINES: Final = 1000
"""To say where something stands in a line takes a thousand times as long as to read a good one."""


Sample = TypeVar("Sample", EvalSample, CalibrationSample)


@dataclass(frozen=True, slots=True)
class Line(Generic[Sample]):
    number: int
    """From 1."""
    sample: Sample
    data: dict[str, Any]
    """As it was written."""


def parse_set(file: str, text: str) -> tuple[tuple[Line[EvalSample], ...], tuple[Problem, ...]]:
    return _parse(file, text, "eval-sample", EvalSample)


def parse_calibration(file: str, text: str) -> tuple[tuple[Line[CalibrationSample], ...], tuple[Problem, ...]]:
    return _parse(file, text, "calibration-sample", CalibrationSample)


def _parse(
    file: str, text: str, kind: str, content_type: type[Sample]
) -> tuple[tuple[Line[Sample], ...], tuple[Problem, ...]]:
    """The good lines, and what is wrong with the others. Empty lines are left alone."""
    if len(text) > MAX_SET_BYTES:
        message = f"larger than {MAX_SET_BYTES >> 20} MiB"
        suggestion = "keep the samples that tell models apart; a few thousand are plenty"
        return (), (Problem(file, 0, 0, "eval-set-too-large", "error", message, suggestion),)
    lines: list[Line[Sample]] = []
    problems: list[Problem] = []
    bad = 0
    # Only a line feed ends a line: a JSON text may hold the other separators that `splitlines` knows.
    for number, words in enumerate(text.removeprefix("﻿").split("\n"), start=1):
        if not words.strip():
            continue
        line, own = _line(file, number, words, kind, content_type)
        problems += own
        if line is not None:
            lines.append(line)
        bad += bool(own)
        if bad > MOST_BAD_LINES:
            message = f"more than {MOST_BAD_LINES} lines are wrong; those after this one were not read"
            problems.append(Problem(file, number, 1, "many-bad-lines", "error", message))
            break
    problems += _repeated(file, lines)
    if not lines and not problems:
        message = 'write a line for each sample: {"id": "a1", "input": "…", "target": "…"}'
        problems.append(Problem(file, 0, 0, "empty-eval-set", "error", "the set has no samples", message))
    return tuple(lines), tuple(problems)


class _Repeated(ValueError):
    """A key stands twice in an object."""


def _line(
    file: str, number: int, words: str, kind: str, content_type: type[Sample]
) -> tuple[Line[Sample] | None, tuple[Problem, ...]]:
    try:
        data = json.loads(words, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        message = f"is no JSON: {error.msg}"
        suggestion = "write one complete JSON object per line"
        return None, (Problem(file, number, error.colno, "json-syntax", "error", message, suggestion),)
    except _Repeated:
        _, found = parse_yaml(file, words)
        known = tuple(
            replace(problem, line=number, message=problem.message.partition(";")[0])
            for problem in found
            if problem.code == "duplicate-key"
        )
        message = "a key stands twice in one object"
        return None, known or (Problem(file, number, 1, "duplicate-key", "error", message),)
    except (ValueError, RecursionError) as error:
        return None, (Problem(file, number, 1, "json-syntax", "error", f"is no JSON: {error}"),)
    unplaced = Document(data, {(): (1, 1)}, {})
    sample, wrong = validate_document(file, kind, unplaced, content_type)
    if sample is None:
        document, _ = parse_yaml(file, words)
        if document is not None:
            # JSON is YAML, whose reader knows the place of everything; the values stay those that JSON gives.
            places = Document(data, document.value_places, document.key_places)
            _, wrong = validate_document(file, kind, places, content_type)
        return None, tuple(replace(problem, line=number) for problem in wrong)
    return Line(number, sample, data), ()


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        raise _Repeated
    return whole


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")


def _repeated(file: str, lines: Sequence[Line[Any]]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for line in lines:
        known = first.setdefault(line.sample.id, line.number)
        if known != line.number:
            message = f"{shown(line.sample.id)} is already the id of line {known}"
            yield Problem(file, line.number, 1, "duplicate-sample", "error", message, "give each sample its own", "id")
