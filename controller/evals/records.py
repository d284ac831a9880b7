"""The records of a JSON, JSON lines or CSV file, each with the line or the place where it stands. Pure."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

Record = Mapping[str, Any]
Say = Callable[[int, str, str], None]
"""Takes a problem: its line or place, what is wrong, what would be right."""


def records_in(text: str, say: Say) -> Iterator[tuple[int, Record]]:
    """In a JSON array a record's place is its number, from 1; elsewhere its line."""
    start = text.lstrip()[:1]
    if start == "[":
        return _json_array(text, say)
    return _json_lines(text, say) if start == "{" else _csv_lines(text, say)


def _json_lines(text: str, say: Say) -> Iterator[tuple[int, Record]]:
    # Only a line feed ends a line: a JSON text may hold the other separators that `splitlines` knows.
    for line, words in enumerate(text.split("\n"), start=1):
        if not words.strip():
            continue
        try:
            record = json.loads(words, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            place = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            say(line, f"is no JSON{place}", "one complete JSON object per line")
            continue
        if isinstance(record, dict):
            yield line, record
        else:
            say(line, "is no JSON object", 'write {"sample_id": …, "success": …}')


def _json_array(text: str, say: Say) -> Iterator[tuple[int, Record]]:
    try:
        records = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
        say(line, "is no JSON", "a JSON array of objects, or one object per line")
        return
    for number, record in enumerate(records, start=1):
        if isinstance(record, dict):
            yield number, record
        else:
            say(number, "is no JSON object", 'write {"sample_id": …, "success": …}')


def _csv_lines(text: str, say: Say) -> Iterator[tuple[int, Record]]:
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
                    say(lines.line_num, f"names {', '.join(twice)} twice", "give each column its own name")
                    return
            elif len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
                say(
                    lines.line_num,
                    f"has {len(cells)} cells, the head {len(names)}",
                    "put quotes around a cell with a comma",
                )
            else:
                yield lines.line_num, {name: cell for name, cell in zip(names, cells, strict=False) if name}
    except csv.Error as error:
        say(lines.line_num, f"is no CSV: {error}", "close every quote that is opened")
