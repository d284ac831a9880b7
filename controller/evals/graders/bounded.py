"""A bound on the time of work that cannot be awaited: some regular expressions take longer than the universe."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SECONDS: Final = 1.0


class TookTooLong(Exception):
    """The time is over."""


@contextmanager
def bounded(seconds: float = SECONDS) -> Iterator[None]:
    """Raises TookTooLong inside. In the main thread alone, where signals arrive: elsewhere there is no bound."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
