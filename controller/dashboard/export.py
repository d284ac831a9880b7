"""A page's values for scripts and spreadsheets. Pure."""

import csv
import io
import re
from typing import Final

from controller.dashboard.view import Table

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would calculate (OWASP, "CSV Injection"): a quote before it keeps it text."""

SIGNED: Final = re.compile(r"[-+][0-9]+(\.[0-9]+)?")
"""A figure, and nothing to calculate."""


def as_csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(table.head)
    writer.writerows([[_plain(cell) for cell in row] for row in table.rows])
    return text.getvalue()


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) and not SIGNED.fullmatch(cell) else cell
