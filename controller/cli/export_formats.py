"""Files of calls: CSV, JSON, JSON lines and Parquet, each written page by page. Their columns are one table."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any, Final, Literal, Protocol, TypeAlias

from controller.cli.cells import csv_text
from controller.errors import CannotStart

Kind = Literal["text", "time", "day", "whole", "number", "money", "yes_or_no", "json"]
Call: TypeAlias = Mapping[str, Any]
"""As `GET /v1/calls` gives it."""

COLUMNS: Final[Mapping[str, Kind]] = {
    "id": "text", "at": "time", "day": "day", "sidecar": "text", "use_case": "text", "team": "text", "agent": "text",
    "caller": "text", "dialect": "text", "stream": "yes_or_no", "outcome": "text", "status": "whole", "model": "text",
    "provider": "text", "vendor": "text", "reason": "text", "bundle": "text", "revision": "text",
    "input_tokens": "whole", "output_tokens": "whole", "cache_read_tokens": "whole", "cache_write_tokens": "whole",
    "reasoning_tokens": "whole", "cost_usd": "money", "wasted_usd": "money", "estimated": "yes_or_no",
    "seconds": "number", "first_token_seconds": "number", "attempts": "json", "dropped": "json",
    "conversation": "text", "arm": "text", "propensity": "number", "skipped": "json", "facts": "json",
    "steering": "text", "quality": "text",
}  # fmt: skip
MONEY_DIGITS: Final = (38, 24)
"""All that the ledger books: below a billion dollars, to 24 places."""


class CallWriter(Protocol):
    def write(self, calls: Sequence[Call]) -> None: ...
    def finish(self) -> None:
        """Writes what the file ends with; the file itself is the caller's to close."""


class CsvWriter:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._file.write(csv_text([list(COLUMNS)]).encode())

    def write(self, calls: Sequence[Call]) -> None:
        rows = ([_cell(kind, call[name]) for name, kind in COLUMNS.items()] for call in calls)
        self._file.write(csv_text(rows).encode())

    def finish(self) -> None:
        pass


class JsonLinesWriter:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, calls: Sequence[Call]) -> None:
        self._file.writelines(_compact(call).encode() + b"\n" for call in calls)

    def finish(self) -> None:
        pass


class JsonWriter:
    """One array, a call on each line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._before = b"[\n"

    def write(self, calls: Sequence[Call]) -> None:
        for call in calls:
            self._file.write(self._before + _compact(call).encode())
            self._before = b",\n"

    def finish(self) -> None:
        self._file.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")


class ParquetWriter:
    """Money as decimal128, times as timestamps. Raises `CannotStart`: pyarrow is not installed."""

    def __init__(self, file: IO[bytes]) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise CannotStart("--format parquet needs pyarrow: pip install 'pointsman[parquet]'") from error
        kinds = {
            "text": pyarrow.string(), "time": pyarrow.timestamp("us", tz="UTC"), "day": pyarrow.date32(),
            "whole": pyarrow.int64(), "number": pyarrow.float64(), "money": pyarrow.decimal128(*MONEY_DIGITS),
            "yes_or_no": pyarrow.bool_(), "json": pyarrow.string(),
        }  # fmt: skip
        self._schema = pyarrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
        self._table_of = pyarrow.table
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, calls: Sequence[Call]) -> None:
        columns = {
            name: [None if call[name] is None else _VALUES[kind](call[name]) for call in calls]
            for name, kind in COLUMNS.items()
        }
        self._writer.write_table(self._table_of(columns, schema=self._schema))

    def finish(self) -> None:
        self._writer.close()


FORMATS: Final[Mapping[str, Callable[[IO[bytes]], CallWriter]]] = {
    "csv": CsvWriter, "parquet": ParquetWriter, "jsonl": JsonLinesWriter, "json": JsonWriter,
}  # fmt: skip


def _cell(kind: Kind, value: Any) -> object:
    match kind:
        case "yes_or_no":
            return "true" if value else "false"
        case "json":
            return _compact(value)
        case _:
            return value


def _same(value: Any) -> Any:
    return value


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_VALUES: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "text": _same, "time": datetime.fromisoformat, "day": date.fromisoformat, "whole": _same, "number": _same,
    "money": Decimal, "yes_or_no": _same, "json": _compact,
}  # fmt: skip
