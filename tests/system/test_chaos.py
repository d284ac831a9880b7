"""Everything fails, two things at a time: no record is lost, no rules but accepted ones run, no failure is unexplained.

A controller on PostgreSQL, two sidecars that share limits by Redis, two simulated providers, calls all the time. A few
seconds in `make test`; ten minutes in `make chaos`.
"""

import json
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.load import Came, Load, leave_early
from tests.fakes.postgres import PostgresServer, postgres_server
from tests.fakes.processes import eventually
from tests.fakes.redis_server import RedisServer, running_redis
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess, StartSimulator
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

MINUTES = float(os.environ.get("POINTSMAN_CHAOS_MINUTES", "0.05"))
SEED = int(os.environ.get("POINTSMAN_CHAOS_SEED", "20261126"))
WORKERS = 8
MOST_AT_ONCE = 2
CATCH_UP_SECONDS = 60.0
LIMITS = "limits: {requests_per_minute: 600000, concurrency: 500}\n"
"""Asked of Redis for each call, and far from reached."""
FAULTS: Sequence[dict[str, Any]] = (
    {"status": 500},
    {"status": 529},
    {"status": 429, "retry_after": 1},
    {"close": True},
    {"garbage": "html"},
    {"cut": 2},
    {"cut": 0, "cut_how": "reset"},
    {"error_event": 1},
    {"first_token_delay": 0.2},
)
EXPLAINED = {429, 502, 503, 504}
"""What a caller may see where both providers fail: always with our reason."""
NOT_SEEN_BY_A_PROVIDER = {"unknown_outcome", "client_closed"}
"""Ends of calls that a crash or a leaving caller may bring about before anybody was asked."""

Heal = Callable[[], None]


@dataclass
class Journal:
    """What a provider wrote down of one attempt."""

    fault: bool = False
    is_ended: bool = False


@dataclass
class Field:
    """Everything that can fail, and what has failed so far."""

    dice: random.Random
    repo: RulesRepo
    controller: ControllerProcess
    sidecars: list[SidecarProcess]
    makers: list[SimulatorProcess]
    postgres: PostgresServer
    redis: RedisServer
    load: Load
    chains: dict[str, str] = field(default_factory=dict)
    """Revision to its primary, of those that are good."""
    accepted: dict[str, str] = field(default_factory=dict)
    """Digest to revision, of what the controller says that it accepted."""
    deaths: list[tuple[float, float]] = field(default_factory=list)
    """Of sidecars: from the kill to the return, Unix seconds."""
    done: Counter[str] = field(default_factory=Counter)

    def commit_good(self) -> Heal:
        primary, fallback = self.dice.choice((("red", "green"), ("green", "red")))
        revision = self.repo.commit({USE_CASE_FILE: use_case(primary, fallback, more=LIMITS)})
        self.chains[revision] = primary
        return lambda: None

    def commit_broken(self) -> Heal:
        self.repo.commit({USE_CASE_FILE: use_case("blue", "red", more=LIMITS)})
        return self.commit_good

    def sidecar_dies(self) -> Heal:
        sidecar, began = self.dice.choice(self.sidecars), time.time()
        sidecar.kill()

        def heal() -> None:
            sidecar.start()
            self.deaths.append((began, time.time()))

        heal()  # at once: another one may be about to die
        return lambda: None

    def controller_dies(self) -> Heal:
        self.note_accepted()
        self.controller.kill()
        return self.controller.start

    def controller_freezes(self) -> Heal:
        process = self.controller.child.popen
        process.send_signal(signal.SIGSTOP)
        return lambda: process.send_signal(signal.SIGCONT)

    def database_dies(self) -> Heal:
        self.postgres.kill()
        return self.postgres.start

    def redis_dies(self) -> Heal:
        self.redis.kill()
        return self.redis.start

    def redis_freezes(self) -> Heal:
        self.redis.send(signal.SIGSTOP)
        return lambda: self.redis.send(signal.SIGCONT)

    def redis_forgets(self) -> Heal:
        self.redis.flush()
        return lambda: None

    def repository_goes(self) -> Heal:
        away = self.repo.path.with_name("away")
        self.repo.path.rename(away)
        return lambda: (away.rename(self.repo.path), None)[1]

    def caller_leaves(self) -> Heal:
        leave_early(self.dice.choice(self.sidecars).url)
        return lambda: None

    def note_accepted(self) -> None:
        for _, line in self.controller.child.heard():
            if found := re.search(r"^revision\.accepted revision=(\S+) .*digest=(\S+)", line):
                self.accepted[found[2]] = found[1]

    def rage(self, seconds: float) -> None:
        """Fails and heals by the dice until the time is over; then all is healed."""
        failing: dict[str, Heal] = {}
        shared = {"controller_freezes": "controller_dies", "redis_freezes": "redis_dies", "redis_forgets": "redis_dies",
                  "commit_good": "repository_goes", "commit_broken": "repository_goes"}  # fmt: skip
        ways: Mapping[str, Callable[[], Heal]] = {
            way.__name__: way
            for way in (
                self.commit_good, self.commit_broken, self.sidecar_dies, self.controller_dies, self.controller_freezes,
                self.database_dies, self.redis_dies, self.redis_freezes, self.redis_forgets, self.repository_goes,
                self.caller_leaves,
            )
        }  # fmt: skip
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.dice.choice(self.makers).fault(self.dice.choice(FAULTS), times=self.dice.randint(1, 4))
            way = self.dice.choice(list(ways))
            part = shared.get(way, way)
            if part in failing or len(failing) >= MOST_AT_ONCE:
                failing.pop(self.dice.choice(list(failing)))()
            else:
                failing[part] = ways[way]()
                self.done[way] += 1
            self.load.wait_for(self.dice.randint(1, 4 * WORKERS))
        for heal in failing.values():
            heal()
        for maker in self.makers:
            maker.clear()


@contextmanager
def in_chaos(
    tmp_path: Path, start_controller: StartController, start_sidecar: StartSidecar, start_simulator: StartSimulator
) -> Iterator[Field]:
    journals = [tmp_path / "alpha.jsonl", tmp_path / "beta.jsonl"]
    makers = [
        start_simulator(path.stem, options=["--chunk-delay", "0.003", "--journal", str(path)]) for path in journals
    ]
    doors = [Door("red", "openai", makers[0].url), Door("green", "anthropic", makers[1].url)]
    repo = RulesRepo(tmp_path / "rules")
    first = repo.commit(files(doors, {"support": use_case("red", "green", more=LIMITS)}))
    with postgres_server() as postgres, running_redis(tmp_path) as redis:
        controller = start_controller(repo.path, options=["--database-url", postgres.new_database()])
        controller.child.wait_for("revision.accepted")
        options = ["--controller-token", str(controller.token_file), "--redis-url", redis.url]
        sidecars = [start_sidecar(controller.url, options=options) for _ in range(2)]
        with Load([lambda s=s: s.url for s in sidecars], workers=WORKERS) as load:  # type: ignore[misc]
            load.wait_for(4 * WORKERS)
            yield Field(random.Random(SEED), repo, controller, sidecars, makers, postgres, redis, load, {first: "red"})


def seen_by(journals: Sequence[Path]) -> Mapping[str, Journal]:
    """By call and attempt: `x-pointsman-request-id`."""
    seen: dict[str, Journal] = {}
    for path in journals:
        for line in map(json.loads, path.read_text().splitlines()):
            entry = seen.setdefault(line["request_id"], Journal())
            if line["event"] == "end":
                entry.is_ended, entry.fault = True, bool(line["fault"])
    return seen


def is_answer(call: Came) -> bool:
    return call.status == 200 and not call.broken and (call.is_whole or call.has_error_event)


def test_whatever_fails_nothing_is_lost_and_nothing_is_unexplained(
    tmp_path: Path, start_controller: StartController, start_sidecar: StartSidecar, start_simulator: StartSimulator
) -> None:
    print(f"\nseed {SEED}, {MINUTES:g} minutes")
    with in_chaos(tmp_path, start_controller, start_sidecar, start_simulator) as chaos:
        chaos.rage(MINUTES * 60)
        last = chaos.repo.commit({USE_CASE_FILE: use_case("green", "red", more=LIMITS)})
        chaos.chains[last] = "green"
        eventually(lambda: all(s.status().active.revision == last for s in chaos.sidecars), CATCH_UP_SECONDS)
        chaos.load.wait_for(4 * WORKERS)
        came = chaos.load.stop()
        eventually(lambda: all(s.status().spooled_records == 0 for s in chaos.sidecars), CATCH_UP_SECONDS)
        chaos.note_accepted()
        booked = {row["id"]: row for row in chaos.controller.calls()}
        sums = chaos.controller.usage("outcome")
    seen = seen_by([tmp_path / "alpha.jsonl", tmp_path / "beta.jsonl"])
    outcomes = Counter(row["outcome"] for row in booked.values())
    print(f"{len(came)} calls, {len(booked)} booked: {dict(outcomes)}; done: {dict(chaos.done)}")

    no_record_is_lost(came, seen, booked, sums)
    no_rules_but_accepted_ones_ran(came, booked, chaos)
    for call in came:
        assert_explained(call, booked, seen, chaos)
    for process in (chaos.controller.child, *(sidecar.child for sidecar in chaos.sidecars)):
        assert "Traceback" not in process.stderr()


def no_record_is_lost(
    came: Sequence[Came], seen: Mapping[str, Journal], booked: Mapping[str, Any], sums: Sequence[Mapping[str, Any]]
) -> None:
    asked = {attempt.rpartition(".")[0] for attempt in seen}
    assert asked - booked.keys() == set(), "a provider was asked, and nobody knows"
    answered = {call.id for call in came if is_answer(call) and call.is_whole}
    assert {booked[call_id]["outcome"] for call_id in answered} <= {"ok"}
    unseen = booked.keys() - asked
    refused = {row["id"] for row in booked.values() if not json.loads(row["attempts"])}
    assert {booked[call_id]["outcome"] for call_id in unseen - refused} <= NOT_SEEN_BY_A_PROVIDER
    outcomes = Counter(row["outcome"] for row in booked.values())
    sums_of_calls = {row["outcome"]: row["requests"] for row in sums if row["requests"]}  # others are of attempts alone
    assert sums_of_calls == outcomes, "none is counted twice"


def no_rules_but_accepted_ones_ran(came: Sequence[Came], booked: Mapping[str, Any], chaos: Field) -> None:
    assert set(chaos.accepted.values()) <= chaos.chains.keys(), "a broken revision was accepted"
    assert {row["bundle"] for row in booked.values()} <= chaos.accepted.keys()
    for call in came:
        if call.status == 200 and call.reason == "primary":
            assert call.model == chaos.chains[chaos.accepted[call.headers["x-pointsman-bundle"]]], call


def assert_explained(call: Came, booked: Mapping[str, Any], seen: Mapping[str, Journal], chaos: Field) -> None:
    """By the death of a sidecar at that time, or by faults of the providers that it was sent to."""
    if call.is_whole:
        return
    died = any(began <= call.ended and call.began <= back for began, back in chaos.deaths)
    if call.broken or not call.status:
        assert died, call
        return
    assert call.status in EXPLAINED or call.has_error_event, call
    assert call.reason, call
    tried = range(len(json.loads(booked[call.id]["attempts"])))
    faults = [f"{call.id}.{number}" for number in tried if _failed(seen.get(f"{call.id}.{number}"))]
    rested = call.status in EXPLAINED and not tried  # a breaker, or a provider that asked to be left alone
    assert faults or rested or died, (call, booked[call.id])


def _failed(entry: Journal | None) -> bool:
    return entry is not None and (entry.fault or not entry.is_ended)
