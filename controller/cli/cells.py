"""CSV that a spreadsheet opens without running it: callers choose some of its texts, such as agents' names. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

STARTS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection")."""


def safe(text: str) -> str:
    """A text that would be run gets an apostrophe before it, which spreadsheets take for "this is text"."""
    return f"'{text}" if text.startswith(STARTS_A_FORMULA) else text


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Lines as RFC 4180 has them; None is an empty cell."""
    written = io.StringIO()
    csv.writer(written).writerows([safe(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return written.getvalue()
