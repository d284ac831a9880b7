"""A child process of a test: started with a command, ready when it prints a line, ended when the test is over.

Nothing here waits for a fixed time: a test waits for a line, for an end, or for a condition, each with a limit.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

START_SECONDS = 20.0
STOP_SECONDS = 10.0
PROBE_SECONDS = 0.005

REPOSITORY = Path(__file__).parents[2]

T = TypeVar("T")


class ChildFailed(AssertionError):
    """A process ended or stayed silent where a test needed it; the text ends with its standard error."""


class Child:
    """A running program: its output line by line, its standard error in a file."""

    def __init__(self, popen: subprocess.Popen[str], stderr: Path) -> None:
        self.popen = popen
        self._stderr = stderr
        self._stderr_from = stderr.stat().st_size
        self._lines: list[str] = []
        self._heard_at: list[float] = []
        self._news = threading.Condition()
        self._is_read = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def start(
        cls,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path = REPOSITORY,
        program: str = sys.executable,
    ) -> Self:
        """Run `python ARGUMENTS`, or another program, with its standard error appended to `log`."""
        with log.open("ab") as stderr:
            popen = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
            )
        return cls(popen, log)

    def wait_for(self, pattern: str, within_seconds: float = START_SECONDS) -> re.Match[str]:
        """The first line of its output, past or to come, that holds the pattern.

        Raises:
            ChildFailed: its output ended or the time is over, and no line did.
        """
        found: re.Match[str] | None = None

        def is_decided() -> bool:
            nonlocal found
            found = next(filter(None, (re.search(pattern, line) for line in self._lines)), None)
            return found is not None or self._is_read

        with self._news:
            self._news.wait_for(is_decided, within_seconds)
        if found is None:
            raise ChildFailed(f"no line like {pattern!r}; exit status {self.popen.poll()}\n{self.stderr()}")
        return found

    def heard(self) -> list[tuple[float, str]]:
        """Its output so far: each line with the Unix time at which it came."""
        with self._news:
            return list(zip(self._heard_at, self._lines, strict=True))

    def stderr(self) -> str:
        """What this process, not one before it, has written there."""
        return self._stderr.read_bytes()[self._stderr_from :].decode(errors="replace")

    def is_running(self) -> bool:
        return self.popen.poll() is None

    def kill(self) -> None:
        """SIGKILL, as a crash or the kernel's out-of-memory killer ends it; returns when it is gone."""
        self.popen.kill()
        self._wait()

    def stop(self) -> int:
        """SIGTERM and its orderly end: the exit status. One that is gone already is fine."""
        if self.is_running():
            self.popen.send_signal(signal.SIGTERM)
        return self._wait()

    def _wait(self) -> int:
        try:
            return self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.popen.kill()
            self.popen.wait()
            raise ChildFailed(f"it did not end within {STOP_SECONDS:g} s\n{self.stderr()}") from error
        finally:
            self._reader.join(STOP_SECONDS)
            if self.popen.stdout is not None:
                self.popen.stdout.close()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            with self._news:
                self._lines.append(line)
                self._heard_at.append(time.time())
                self._news.notify_all()
        with self._news:
            self._is_read = True
            self._news.notify_all()


def eventually(probe: Callable[[], T | None], within_seconds: float = 5.0) -> T:
    """What `probe` gives as soon as it is neither None nor False: for what another process does in its own time.

    Raises:
        AssertionError: it never was.
    """
    deadline = time.monotonic() + within_seconds
    while True:
        found = probe()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{probe} came to nothing within {within_seconds:g} s")
        time.sleep(PROBE_SECONDS)
