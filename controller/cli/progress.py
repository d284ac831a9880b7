"""How far a long work is, on standard error and only where a person is watching."""

import sys
import time
from types import TracebackType
from typing import Final, Self, TextIO

BAR_CELLS: Final = 30
EVERY_SECONDS: Final = 0.1


class Progress:
    """`what` names what is counted, in the plural. Its line is gone when the work is over."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self._what = what
        self._stream = stream or sys.stderr
        self._is_watched = self._stream.isatty()
        self._started = time.monotonic()
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_watched and self._shown_at:
            self._write("\r\x1b[K")

    def show(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._is_watched and now - self._shown_at >= EVERY_SECONDS:
            self._shown_at = now
            self._write(f"\r\x1b[K{line_of(self._what, done, total, now - self._started)}")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def line_of(what: str, done: int, total: int, seconds: float) -> str:
    """`total` may turn out to be too small: calls are booked meanwhile."""
    share = min(1.0, done / total) if total else 1.0
    bar = "█" * round(share * BAR_CELLS)
    left = f", {seconds / share - seconds:.0f} s left" if share and seconds >= 1 else ""
    return f"{bar:░<{BAR_CELLS}} {share:4.0%}  {done:,} of {max(done, total):,} {what}{left}"
