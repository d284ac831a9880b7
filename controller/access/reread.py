"""A file that others replace while the controller runs: read again when it has changed, the last good content kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from controller import logs
from controller.errors import CannotStart

T = TypeVar("T")


class Reread(Generic[T]):
    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        """Raises what `read` raises at the first time: `CannotStart`."""
        self._path = path
        self._read = read
        self._seen = self._mark()
        self._value = read(path)

    def value(self) -> T:
        """What the file holds. One that is gone or wrong by now changes nothing but the log."""
        mark = self._mark()
        if mark != self._seen:
            self._seen = mark
            try:
                self._value = self._read(self._path)
            except CannotStart as error:
                logs.warn("access.not_reread", file=self._path, error=error)
            else:
                logs.event("access.reread", file=self._path)
        return self._value

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
