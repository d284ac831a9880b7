"""Tables of one's own, CSV, JSON or JSON lines: a record per sample and model. Pure."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from controller.evals.imports.found import Found, refuse, text_in
from controller.evals.read import SCORE_PREFIX
from controller.evals.records import records_in
from controller.evals.rows import Row

COLUMNS: Final = frozenset(field.name for field in fields(Row)) - {"scores"}


def fits(data: bytes) -> bool:
    """Whether it names a sample as ours do."""
    return b"sample_id" in data[:4096]


def read(data: bytes) -> Iterator[Found]:
    """
    Raises:
        Unclear: a record cannot be read.
    """
    for number, record in records_in(text_in(data), refuse):
        columns = {name: value for name, value in record.items() if name in COLUMNS}
        own = record.get("scores")
        scores = dict(own) if isinstance(own, dict) else {}
        for name, value in record.items():
            if name.startswith(SCORE_PREFIX):
                scores[name.removeprefix(SCORE_PREFIX)] = value
        # A sample that stands there twice is for the lints to find, not another repetition.
        yield Found(number, {"epoch": 1, **columns}, record, scores)
