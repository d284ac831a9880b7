"""The results file of a run: a line per sample, epoch and model, on disk as soon as it is known."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from controller.evals.arms import FAILED
from controller.evals.rows import Row
from controller.evals.run.asking import Done
from controller.evals.run.journal import JournalUnusable, append_line, whole_lines
from controller.evals.written import mapping_of

AGAIN: Final = FAILED | {"grader_error"}
"""What asking again may mend."""


def done_of(line: Mapping[str, Any]) -> Done:
    return line["sample_id"], line["epoch"], line["model"]


class ResultsFile:
    """Columns beside those of a `Row` are for people: `answer`, `error`, `call_id`, `judge_usd`."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            JournalUnusable: it is no results file of ours.
            OSError: it cannot be read or written.
        """
        self._path = path
        self.lines: list[dict[str, Any]] = []
        for number, line in enumerate(whole_lines(path), start=1):
            if not isinstance(line, dict) or not {"sample_id", "epoch", "model", "run_id", "set_hash"} <= line.keys():
                raise JournalUnusable(f"{path}: line {number} is not of a run of ours; name another --out")
            self.lines.append(line)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    @property
    def done(self) -> set[Done]:
        return {done_of(line) for line in self.lines}

    def take_back_failed(self) -> Sequence[Mapping[str, Any]]:
        """Those that failed or could not be graded; the file is without them then."""
        failed = [line for line in self.lines if line.get("status") in AGAIN]
        if failed:
            self.lines = [line for line in self.lines if line.get("status") not in AGAIN]
            fresh, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
            os.fchmod(fresh, 0o644)
            for line in self.lines:
                append_line(fresh, line, durable=False)
            os.fsync(fresh)
            os.replace(name, self._path)
            os.close(self._descriptor)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
            os.close(fresh)
        return failed

    def add(self, row: Row, **more: Any) -> None:
        line = mapping_of(row, **more)
        append_line(self._descriptor, line)
        self.lines.append(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
