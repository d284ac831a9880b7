"""A process that is measured: started on one core, with the CPU time and the memory of its whole tree.
Linux only (/proc)."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
CPU_CLOCK = 2  # CPUCLOCK_SCHED, which clock_getcpuclockid(3) puts into the low bits of a process's clock
STOP_SECONDS = 10


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started within runs on `core` alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Process:
    """A program under measurement and what it started itself."""

    popen: subprocess.Popen[bytes]
    log: Path
    """Where its output goes."""

    def has_ended(self) -> bool:
        return self.popen.poll() is not None

    def last_words(self) -> str:
        """The last line of its output, for telling why it ended."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else f"exit status {self.popen.poll()}, no output"

    def cpu_seconds(self) -> float:
        """User and system time of the tree since its start."""
        return sum(_cpu_seconds(pid) for pid in _tree(self.popen.pid))

    def rss_mb(self) -> float:
        """Resident memory of the tree, in 10**6 bytes."""
        return sum(_resident_pages(pid) for pid in _tree(self.popen.pid)) * PAGE_BYTES / 1e6

    def stop(self) -> None:
        """End the tree: asked first, forced after ten seconds."""
        for order in (signal.SIGTERM, signal.SIGKILL):
            if self.has_ended():
                return
            os.killpg(self.popen.pid, order)
            try:
                self.popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue


def start(command: Sequence[str], *, core: int, log: Path, environment: Mapping[str, str] | None = None) -> Process:
    """Start `command` on `core` in a process group of its own. Raises OSError when it cannot be started."""
    with on_core(core), log.open("wb") as output:
        popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**_warm(os.environ), **(environment or {})},
            start_new_session=True,
        )
    return Process(popen, log)


def _warm(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what keeps Python from writing its byte code: an installed program does not compile itself each time."""
    return {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            pids = children.read_text().split()
        except OSError:  # the thread ended between the listing and the reading
            continue
        for child in pids:
            yield from _tree(int(child))


def _cpu_seconds(pid: int) -> float:
    try:
        return time.clock_gettime(~pid << 3 | CPU_CLOCK)
    except OSError:  # a child that has ended meanwhile
        return 0.0


def _resident_pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
