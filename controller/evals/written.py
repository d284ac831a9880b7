"""Rows as JSON lines, as `read` takes them back. Pure."""

import json
from dataclasses import fields

from controller.evals.rows import Row


def line_of(row: Row) -> str:
    """Without what is unknown, but for `success`, which says so."""
    known = {field.name: getattr(row, field.name) for field in fields(row)}
    kept = {name: value for name, value in known.items() if name == "success" or value not in (None, {})}
    return json.dumps(kept, ensure_ascii=False, default=str) + "\n"
