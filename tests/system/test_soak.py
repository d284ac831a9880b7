"""Faults, rule commits and callers that leave, all the time: nothing grows, and no error is unexplained.

A few seconds in `make test`; ten minutes in `make soak`.
"""

import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import mean
from typing import Any

from tests.fakes.controller import StartController
from tests.fakes.load import Came, Load, leave_early
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess, StartSimulator
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

MINUTES = float(os.environ.get("POINTSMAN_SOAK_MINUTES", "0.1"))
SEED = int(os.environ.get("POINTSMAN_SOAK_SEED", "7"))
WORKERS = 8
COMMIT_SECONDS = 3.0
MOST_GROWTH_MEGABYTES = 12.0
"""From the first third to the last: pools, caches and the newest calls fill up, and that is all."""
MOST_MORE = 16
"""Open files and tasks, from the first third to the last: those of one moment differ from those of another."""
FAULTS: Sequence[dict[str, Any]] = (
    {"status": 500},
    {"status": 529},
    {"status": 429, "retry_after": 1},
    {"close": True},
    {"garbage": "html"},
    {"cut": 2},
    {"cut": 0, "cut_how": "reset"},
    {"error_event": 1},
    {"first_token_delay": 0.3},
    {"no_usage": True},
)
EXPLAINED = {502, 503, 504}
"""What a caller may see of providers that fail: always with our reason."""


@dataclass(frozen=True)
class Sample:
    megabytes: float
    open_files: int
    tasks: int


def sample_of(sidecar: SidecarProcess) -> Sample:
    folder = Path(f"/proc/{sidecar.child.popen.pid}")
    resident = int((folder / "status").read_text(encoding="ascii").partition("VmRSS:")[2].split()[0]) / 1024
    tasks = re.search(r"^pointsman_tasks ([0-9.]+)$", sidecar.metrics(), re.MULTILINE)
    assert tasks is not None
    return Sample(resident, len(list((folder / "fd").iterdir())), int(float(tasks[1])))


def is_answer(call: Came) -> bool:
    """Whole, but for the usage that a provider of this test may leave out."""
    return call.is_whole if call.kind.stream else not {"choices", "content"}.isdisjoint(json.loads(call.body))


def trouble(makers: Sequence[SimulatorProcess], dice: random.Random) -> None:
    maker = dice.choice(makers)
    maker.fault(dice.choice(FAULTS), times=dice.randint(1, 4))


def test_nothing_grows_and_no_error_is_unexplained(
    tmp_path: Path, start_controller: StartController, start_sidecar: StartSidecar, start_simulator: StartSimulator
) -> None:
    dice = random.Random(SEED)
    makers = [start_simulator(name, options=["--chunk-delay", "0.01"]) for name in ("alpha", "beta")]
    doors = [Door("red", "openai", makers[0].url), Door("green", "anthropic", makers[1].url)]
    chains = cycle([("green", "red"), ("red", "green")])
    repo = RulesRepo(tmp_path / "rules")
    repo.commit(files(doors, {"support": use_case("red", "green")}))
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    options = ["--controller-token", str(controller.token_file)]
    sidecars = [start_sidecar(controller.url, options=options) for _ in range(2)]
    samples: dict[str, list[Sample]] = {sidecar.url: [] for sidecar in sidecars}
    with Load([lambda s=s: s.url for s in sidecars], workers=WORKERS) as load:  # type: ignore[misc]
        load.wait_for(4 * WORKERS)
        commits = 0
        end, next_commit = time.monotonic() + MINUTES * 60, time.monotonic()
        while time.monotonic() < end:
            trouble(makers, dice)
            leave_early(dice.choice(sidecars).url)
            if time.monotonic() >= next_commit:
                repo.commit({USE_CASE_FILE: use_case(*next(chains))})
                next_commit += COMMIT_SECONDS
                commits += 1
            load.wait_for(2 * WORKERS)
            for sidecar in sidecars:
                samples[sidecar.url].append(sample_of(sidecar))
        for maker in makers:
            maker.clear()
        load.wait_for(4 * WORKERS)
        came = load.stop()

    eventually(lambda: all(sidecar.status().spooled_records == 0 for sidecar in sidecars), 20)
    statuses = Counter((call.status, call.broken) for call in came)
    print(f"\n{MINUTES:g} minutes, {len(came)} calls: {dict(statuses)}; {commits} commits")
    for sidecar in sidecars:
        taken = samples[sidecar.url]
        third = max(1, len(taken) // 3)
        first, last = taken[:third], taken[-third:]
        growth = mean(s.megabytes for s in last) - mean(s.megabytes for s in first)
        slope = f", {growth / (MINUTES / 60 * 2 / 3):+.1f} an hour" if MINUTES >= 5 else ""
        files_more = mean(s.open_files for s in last) - mean(s.open_files for s in first)
        tasks_more = mean(s.tasks for s in last) - mean(s.tasks for s in first)
        print(
            f"{sidecar.url}: {last[-1].megabytes:.1f} MB ({growth:+.2f}{slope}), "
            f"{last[-1].open_files} open files ({files_more:+.1f}), {last[-1].tasks} tasks ({tasks_more:+.1f})"
        )
        assert growth < MOST_GROWTH_MEGABYTES
        assert files_more < MOST_MORE
        assert tasks_more < MOST_MORE
        assert "Traceback" not in sidecar.stderr()
    for call in came:
        if call.status != 200:
            assert call.status in EXPLAINED, call
            assert call.reason, call
        assert not call.broken, call
        assert call.status != 200 or is_answer(call) or call.has_error_event, call
    booked = sum(row["requests"] for row in controller.usage("use_case"))
    assert booked >= len(came), "every call is on the books, also those whose caller left"
