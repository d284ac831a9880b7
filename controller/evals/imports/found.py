"""What an importer makes of a file, before anybody decides which score counts. Pure."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from controller.evals.records import Record


@dataclass(frozen=True, slots=True)
class Found:
    """One result of one model on one sample."""

    number: int
    """Its line, or which of the file's results it is, from 1."""
    columns: Mapping[str, Any]
    """By name of a field of `Row`. A `success` here is the tool's own verdict."""
    record: Record
    """As the tool wrote it."""
    scores: Mapping[str, Any] = field(default_factory=dict)
    """By grader, as written."""


class Unclear(Exception):
    """A file that cannot be read as what it is said to be."""

    def __init__(self, message: str, suggestion: str, number: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion
        self.number = number


def refuse(number: int, message: str, suggestion: str) -> None:
    raise Unclear(message, suggestion, number)


def cell_value(cell: Any) -> Any:
    """Of a line of CSV: lists, objects and numbers stand in it as JSON; anything else stays as it is written, since two
    exports of one case must name it alike. None: it is empty."""
    if not isinstance(cell, str):
        return cell
    if not cell.strip():
        return None
    try:
        return json.loads(cell, parse_float=Decimal)
    except (ValueError, RecursionError):
        return cell


def text_in(data: bytes) -> str:
    """
    Raises:
        Unclear: it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unclear("is not UTF-8", "save the file as UTF-8", data.count(b"\n", 0, error.start) + 1) from error


def json_in(data: bytes) -> Any:
    """
    Raises:
        Unclear: it is no JSON.
    """
    try:
        return json.loads(text_in(data), parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
        raise Unclear("is no JSON", "export the file again: it may have been cut", line) from error


def json_records(data: bytes, pages: str) -> Iterator[tuple[int, Record]]:
    """Records of a JSON array, of JSON lines, or of one or several pages of an API, whose list stands under `pages`.

    Raises:
        Unclear: it is none of these.
    """
    text = text_in(data)
    try:
        documents = [json.loads(text, parse_float=Decimal)]
    except (ValueError, RecursionError):
        documents = []
        for line, words in enumerate(text.split("\n"), start=1):
            if words.strip():
                try:
                    documents.append(json.loads(words, parse_float=Decimal))
                except (ValueError, RecursionError) as error:
                    wanted = "a JSON array of objects, or one object per line"
                    raise Unclear("is no JSON", wanted, line) from error
    for number, record in enumerate(_flat(documents, pages), start=1):
        if not isinstance(record, dict):
            raise Unclear("is no JSON object", "each result is an object", number)
        yield number, record


def _flat(documents: list[Any], pages: str) -> Iterator[Any]:
    for document in documents:
        if isinstance(document, list):
            yield from _flat(document, pages)
        elif isinstance(document, dict) and isinstance(document.get(pages), list):
            yield from document[pages]
        else:
            yield document


def at(record: Any, *names: str | int) -> Any:
    """What stands there; None where nothing does."""
    for name in names:
        if isinstance(record, Mapping):
            record = record.get(name)
        elif isinstance(record, list) and isinstance(name, int) and -len(record) <= name < len(record):
            record = record[name]
        else:
            return None
    return record


def at_path(record: Record, path: str) -> Any:
    """By the column's own name, which may have dots, else by its parts."""
    return record[path] if path in record else at(record, *path.split("."))


def parts_at(record: Any, *names: str | int) -> Mapping[str, Any]:
    """An object; an empty one where none is."""
    value = at(record, *names)
    return value if isinstance(value, Mapping) else {}


def list_at(record: Any, *names: str | int) -> list[Any]:
    """A list; an empty one where none is."""
    value = at(record, *names)
    return value if isinstance(value, list) else []


def number_at(record: Any, *names: str | int) -> Decimal | None:
    value = at(record, *names)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(str(value))
    return number if number.is_finite() else None


def words_at(record: Any, *names: str | int) -> str | None:
    """A text or a number that names something."""
    value = at(record, *names)
    return (
        str(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) and value != "" else None
    )


def total_of(numbers: Iterator[Decimal | None]) -> Decimal | None:
    """None where one is unknown, or there are none."""
    known = list(numbers)
    return sum((number for number in known if number is not None), Decimal(0)) if known and None not in known else None


def digest_of(value: Any) -> str:
    """Names a value: equal values have equal names."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
