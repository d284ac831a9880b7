"""Sidecar and controller are killed at random moments under load: every call that a provider saw is booked, once."""

import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.load import Load, counted, kinds
from tests.fakes.postgres import postgres_server
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import Door, files, use_case

CYCLES = int(os.environ.get("POINTSMAN_CRASH_CYCLES", "12"))
"""Kills of sidecars, half of them on either database."""
CYCLES_EACH = CYCLES // 2
SEED = int(os.environ.get("POINTSMAN_CRASH_SEED", "20261123"))
PROGRESS_CYCLES = 50
MOST_CALLS = 30
"""Between a sidecar's start and its next crash, over all sidecars."""
CALLS_BETWEEN = 800
"""At most, between a crash of the controller and its return, and from there to the next."""


@dataclass
class Seen:
    """What the providers' journals hold of one call."""

    attempts: set[int] = field(default_factory=set)
    usage: dict[int, Mapping[str, int]] = field(default_factory=dict)
    """By attempt, where one was reported."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Sequence[str]]:
    """The controller's options."""
    if request.param == "sqlite":
        yield ()
        return
    with postgres_server() as server:
        yield ("--database-url", server.new_database())


def test_no_record_is_lost_and_none_is_doubled(
    database: Sequence[str],
    tmp_path: Path,
    start_controller: StartController,
    start_sidecar: StartSidecar,
    start_simulator: StartSimulator,
) -> None:
    print(f"seed {SEED}, {CYCLES_EACH} cycles")
    chance = random.Random(SEED)
    journals = [tmp_path / "alpha.jsonl", tmp_path / "beta.jsonl"]
    makers = [
        start_simulator(path.stem, options=["--chunk-delay", "0.003", "--journal", str(path)]) for path in journals
    ]
    makers[0].fault({"status": 500}, model="failing-*")
    for maker in makers:
        maker.fault({"first_token_delay": 0.01})
    doors = [
        Door("alpha", "openai", makers[0].url),
        Door("failing", "openai", makers[0].url),
        Door("beta", "anthropic", makers[1].url),
    ]
    repo = RulesRepo(tmp_path / "rules")
    chains = {"support": use_case("alpha", "beta"), "falls": use_case("failing", "beta", name="falls")}
    repo.commit(files(doors, chains))
    controller = start_controller(repo.path, options=database)
    controller.child.wait_for("revision.accepted")
    options = ["--controller-token", str(controller.token_file)]
    sidecars = [start_sidecar(controller.url, options=options) for _ in range(2)]

    urls = [lambda: sidecars[0].url, lambda: sidecars[1].url]
    with Load(urls, workers=8, ways=(*kinds(), *kinds("falls"))) as load:
        controller_crashes = crash_again_and_again(sidecars, controller, load, chance)
        came = load.stop()
    eventually(lambda: all(sidecar.status().spooled_records == 0 for sidecar in sidecars), 20)

    answered = {call.id for call in came if call.is_whole}
    seen, booked = seen_by(journals), {row["id"]: row for row in controller.calls()}
    outcomes = Counter(row["outcome"] for row in booked.values())
    print(f"{len(came)} calls made, {len(answered)} answered, {len(seen)} seen upstream, booked: {dict(outcomes)}")
    assert controller_crashes > 0
    assert all(call.status in (0, 200) for call in came), counted(came)
    assert seen.keys() - booked.keys() == set(), "missing"
    assert answered - booked.keys() == set()
    # A sidecar that dies between writing a call down and sending it cannot know that nobody saw it.
    assert {booked[call_id]["outcome"] for call_id in booked.keys() - seen.keys()} <= {"unknown_outcome"}
    for call_id, call in seen.items():
        tells_what_was_seen(booked[call_id], call)
    assert {booked[call_id]["outcome"] for call_id in answered} == {"ok"}
    assert outcomes["unknown_outcome"] >= CYCLES_EACH // 5, "the crashes have hit no open calls"

    # The sums are made record by record: one booked twice would show here.
    sums = controller.usage("outcome")
    assert {row["outcome"]: row["requests"] for row in sums} == outcomes
    (ok,) = [row for row in sums if row["outcome"] == "ok"]
    for name in ("input_tokens", "output_tokens"):
        billed = sum(last_usage(seen[call_id])[name] for call_id, row in booked.items() if row["outcome"] == "ok")
        assert ok[name] == billed


def crash_again_and_again(
    sidecars: Sequence[SidecarProcess], controller: ControllerProcess, load: Load, chance: random.Random
) -> int:
    """How often the controller was killed. Each wait is for a random number of calls to end, so that crashes fall
    anywhere into those still open.
    """
    controller_crashes = 0

    def crash(sidecar: SidecarProcess, chance: random.Random) -> None:
        for number in range(CYCLES_EACH // len(sidecars)):
            load.wait_for(chance.randint(1, MOST_CALLS))
            sidecar.kill()
            sidecar.start()
            if (number + 1) % PROGRESS_CYCLES == 0:
                print(f"{number + 1} of {CYCLES_EACH // len(sidecars)} crashes of a sidecar", flush=True)

    load.wait_for(len(sidecars) * 5)
    with ThreadPoolExecutor() as threads:
        crashing = [threads.submit(crash, sidecar, random.Random(chance.random())) for sidecar in sidecars]
        while not all(crashes.done() for crashes in crashing):
            load.wait_for(chance.randint(1, CALLS_BETWEEN))
            controller.kill()
            controller_crashes += 1
            load.wait_for(chance.randint(1, CALLS_BETWEEN))
            controller.start()
        for crashes in crashing:
            crashes.result()
    return controller_crashes


def seen_by(journals: Iterable[Path]) -> Mapping[str, Seen]:
    """The providers' side, by call: `x-pointsman-request-id` is the call's id, a dot, and the attempt's number."""
    seen: dict[str, Seen] = defaultdict(Seen)
    for path in journals:
        for line in map(json.loads, path.read_text().splitlines()):
            call_id, _, number = line["request_id"].rpartition(".")
            seen[call_id].attempts.add(int(number))
            if line.get("usage"):
                seen[call_id].usage[int(number)] = line["usage"]
    return seen


def tells_what_was_seen(row: Mapping[str, Any], call: Seen) -> None:
    """A record holds every attempt that a provider saw, and what the last of them reported as used."""
    booked = range(len(json.loads(row["attempts"])))
    if row["outcome"] == "unknown_outcome":
        assert call.attempts <= set(booked), row
        return
    assert call.attempts == set(booked), row
    if row["outcome"] == "ok":
        usage = last_usage(call)
        assert (row["input_tokens"], row["output_tokens"]) == (usage["input_tokens"], usage["output_tokens"]), row


def last_usage(call: Seen) -> Mapping[str, int]:
    return call.usage[max(call.attempts)]
