"""The programs that a command starts, each a process of its own that ends with it, however it ends."""

import ctypes
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

PR_SET_PDEATHSIG = 1  # prctl(2)
LOOK_SECONDS = 0.02
STOP_SECONDS = 8.0
LOG_LINES = 5
OWN_VARIABLES = "POINTSMAN_"
LOOPBACK = "127.0.0.1,localhost"
CODE = str(Path(__file__).parents[1])
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ProcessFailed(Exception):
    """A program did not start or ended by itself; the text holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def failure(self, what: str) -> ProcessFailed:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        return ProcessFailed("\n".join([f"{self.name} {what}; the end of its log, {self.log}:", *lines]))


@dataclass(slots=True)
class Children:
    """Starts programs and, as a context, ends those that still run: the last one first."""

    logs: Path
    folder: Path
    """Where they run."""
    started: list[Child] = field(default_factory=list)

    def start(self, name: str, arguments: Sequence[str]) -> Child:
        """Runs `python -m <arguments>`. Its output goes to a file; its standard input stays open as long as we do."""
        log = self.logs / f"{name.replace(' ', '-')}.log"
        parent = os.getpid()
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment_of_children(),
                start_new_session=True,  # Ctrl-C reaches us alone: we end them in order
                preexec_fn=lambda: _end_with(parent),
            )
        child = Child(name, process, log)
        self.started.append(child)
        return child

    def wait_until_ready(self, child: Child, url: str, seconds: float, tick: Callable[[], None]) -> None:
        """Until a GET answers 200.

        Raises:
            ProcessFailed: the process ended, or the time is over.
        """
        deadline = time.monotonic() + seconds
        while not answers(url):
            if not child.is_alive():
                raise child.failure(f"ended with status {child.process.returncode}")
            if time.monotonic() > deadline:
                raise child.failure(f"did not answer within {seconds:.0f} s")
            tick()
            time.sleep(LOOK_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self.started):
            if child.is_alive():
                child.process.terminate()
            try:
                child.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
            if child.process.stdin is not None:
                child.process.stdin.close()


def answers(url: str) -> bool:
    """Whether a GET of a URL on this machine gives 200; proxies of the environment are not asked."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=2)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def environment_of_children(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Ours, but for settings meant for other programs; with our own code, and loopback kept away from any proxy."""
    kept = {name: value for name, value in environ.items() if not name.startswith(OWN_VARIABLES)}
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, (kept.get(name), LOOPBACK)))
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (CODE, kept.get("PYTHONPATH"))))
    kept["PYTHONIOENCODING"] = "utf-8"  # what they say is read as such, whatever the terminal's own is
    return kept


def _end_with(parent: int) -> None:
    """In the child before it runs: the kernel ends it when we are gone, where it can (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
