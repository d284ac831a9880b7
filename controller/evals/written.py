"""Rows as JSON lines, as `read` takes them back, and the whole of a file at once."""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from controller.evals.rows import Row


def mapping_of(row: Row, **more: Any) -> dict[str, Any]:
    """With further columns, and without what is unknown, but for `success`, which says so."""
    known = {field.name: getattr(row, field.name) for field in fields(row)} | more
    return {
        name: format(value, "f") if isinstance(value, Decimal) else value
        for name, value in known.items()
        if name == "success" or value not in (None, {}, "")
    }


def save_rows(path: Path, rows: Sequence[Row]) -> None:
    """All of them, in place of what was there; or nothing.

    Raises:
        OSError: it cannot be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(mapping_of(row), ensure_ascii=False) + "\n" for row in rows)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
