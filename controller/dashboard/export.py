"""A page's values for scripts and spreadsheets. Pure."""

import csv
import io
from typing import Final

from controller.dashboard.view import Table

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would calculate (OWASP, "CSV Injection"): a quote before it keeps it text."""


def as_csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(table.head)
    writer.writerows([[f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell for cell in row] for row in table.rows])
    return text.getvalue()
