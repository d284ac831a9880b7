"""A fleet on one controller: how soon a commit runs everywhere, and how all come back after the controller was killed.

`python -m tests.bench.fleet [SIDECARS …]` prints; nothing is asserted of time.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tests.fakes.controller import ControllerProcess
from tests.fakes.processes import REPOSITORY, eventually
from tests.fakes.rules_repo import RulesRepo
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

WORKERS: Final = 2
COMMITS: Final = 5
BACK_SECONDS: Final = 120.0
"""Far more than the longest wait of a sidecar before it comes back."""
ALL_AT_ONCE: Final = "schema: 1\nrollout: {stages: [100]}\n"
DOORS: Final = [Door("red", "openai", "http://127.0.0.1:9"), Door("green", "anthropic", "http://127.0.0.1:9")]


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds from the controller's word that a revision is accepted to a sidecar's running it."""

    p50: float
    p99: float
    last: float


class Fleet:
    """`sidecars` simulated ones in a few processes."""

    def __init__(self, controller: ControllerProcess, sidecars: int) -> None:
        each = -(-sidecars // WORKERS)
        self._workers = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.bench.fleet_clients", controller.url, str(controller.state),
                 str(first), str(min(each, sidecars - first))],
                cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for first in range(0, sidecars, each)
        ]  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()
            for end in (worker.stdin, worker.stdout):
                if end is not None:
                    end.close()

    def active_at(self, revision: str) -> list[float]:
        """Waits until all run it."""
        return [at for part in self._ask(f"active {revision}") for at in part]

    def counts(self) -> dict[str, Any]:
        whole: dict[str, Any] = {"connected": 0, "unreported": 0, "failures": {}, "reports": {}}
        for part in self._ask("count"):
            for name in ("connected", "unreported"):
                whole[name] += part[name]
            for name in ("failures", "reports"):
                for key, number in part[name].items():
                    whole[name][key] = whole[name].get(key, 0) + number
        return whole

    def _ask(self, words: str) -> list[Any]:
        for worker in self._workers:
            assert worker.stdin is not None
            worker.stdin.write(words + "\n")
            worker.stdin.flush()
        answers = []
        for worker in self._workers:
            assert worker.stdout is not None
            answers.append(json.loads(worker.stdout.readline()))
        return answers


def spread_of(times: Sequence[float], since: float) -> Spread:
    ordered = sorted(at - since for at in times)
    return Spread(ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100], ordered[-1])


def commit(repo: RulesRepo, controller: ControllerProcess, fleet: Fleet, number: int) -> Spread:
    """Turns the use case about, and waits until all run it."""
    revision = repo.commit({USE_CASE_FILE: use_case(*(("red", "green"), ("green", "red"))[number % 2])})
    times = fleet.active_at(revision)
    eventually(lambda: not fleet.counts()["unreported"], BACK_SECONDS)
    return spread_of(times, controller.accepted_at()[revision])


def run(sidecars: int, folder: Path) -> None:
    repo = RulesRepo(folder / "rules")
    revision = repo.commit(files(DOORS, {"support": use_case("red", "green")}) | {"pointsman.yaml": ALL_AT_ONCE})
    controller = ControllerProcess(repo.path, folder / "controller")
    try:
        controller.child.wait_for("revision.accepted")
        idle = memory_mb(controller)
        with Fleet(controller, sidecars) as fleet:
            began = time.time()
            fleet.active_at(revision)
            print(f"{sidecars:,} sidecars: all connected after {time.time() - began:.1f} s")
            for number in range(1, COMMITS + 1):
                spread = commit(repo, controller, fleet, number)
                print(f"  commit {number}: p50 {spread.p50:.2f} s, p99 {spread.p99:.2f} s, last {spread.last:.2f} s")
            used, busy = memory_mb(controller), cpu_seconds(controller)
            each = (used - idle) * 1000 / sidecars
            print(f"  controller: {used:.0f} MB, {each:.0f} KB a sidecar, {busy:.0f} s of CPU")
            before = fleet.counts()
            print(f"  reports: {before['reports']}, failures: {before['failures'] or 'none'}")
            controller.kill()
            controller.start()
            back = time.time()
            eventually(lambda: fleet.counts()["connected"] == sidecars, BACK_SECONDS)
            after = fleet.counts()
            news = {name: number for name, number in after["failures"].items() if "refused" not in name.lower()}
            print(f"  killed and restarted: all back after {time.time() - back:.1f} s, failures meanwhile: {news}")
            spread = commit(repo, controller, fleet, COMMITS + 1)
            print(f"  and a commit then: p99 {spread.p99:.2f} s, last {spread.last:.2f} s")
    finally:
        controller.kill()


def memory_mb(controller: ControllerProcess) -> float:
    """Resident."""
    status = Path(f"/proc/{controller.child.popen.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def cpu_seconds(controller: ControllerProcess) -> float:
    fields = Path(f"/proc/{controller.child.popen.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(words: Sequence[str]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{os.cpu_count()} cores for the controller and all clients, load {os.getloadavg()[0]:.1f} at the start")
    for sidecars in [int(word) for word in words] or [2_000, 10_000]:
        if sidecars + 1_000 > hard:
            print(f"{sidecars:,} sidecars: this machine allows {hard} open files only")
            continue
        with tempfile.TemporaryDirectory() as folder:
            run(sidecars, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
