"""Three controllers on one PostgreSQL: what one publishes all serve, whoever dies, lags or loses the database."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.git_daemon import GitDaemon
from tests.fakes.load import Load
from tests.fakes.postgres import PostgresServer, postgres_server
from tests.fakes.processes import eventually
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

PLATFORM = "schema: 1\nrollout: {stages: [25, 100], bake: 1s, min_sidecars: 4, min_calls: 30}\n"
CATCH_UP_SECONDS = 60.0
SIDECARS = 4


@dataclass(frozen=True)
class Numbers:
    daemon: GitDaemon
    """Two controllers read its work tree; the third fetches from it, and knows what was pushed alone."""
    postgres: PostgresServer
    controllers: list[ControllerProcess]
    sidecars: list[SidecarProcess]
    """At the second controller and the third."""

    def commit(self, model: str) -> str:
        """Until it is on trial, as every controller says."""
        revision = self.daemon.repo.commit({USE_CASE_FILE: use_case(model)})
        self.daemon.push()
        eventually(lambda: {self.trial_at(one) for one in self.controllers} == {revision}, CATCH_UP_SECONDS)
        return revision

    def trial_at(self, controller: ControllerProcess) -> str | None:
        trial = controller.status()["rollout"]["trial"]
        return None if trial is None else str(trial["revision"])

    def take_up(self, model: str) -> str:
        """Until all run it: tried at the first stage, and sent to all through the third controller."""
        revision = self.commit(model)
        reply = self.controllers[2].act("promote")
        assert reply.status == 200, reply.body
        eventually(lambda: self.run(revision), CATCH_UP_SECONDS)
        return revision

    def pointers(self) -> list[dict[str, Any]]:
        return [json.loads(json.loads(one.signed_pointer())["pointer"]) for one in self.controllers]

    def serve_alike(self) -> bool:
        return len({one.signed_pointer() for one in self.controllers}) == 1

    def run(self, revision: str) -> bool:
        return self.serve_alike() and {one.status().active.revision for one in self.sidecars} == {revision}

    def held(self) -> set[tuple[str | None, str | None]]:
        """The pin, and why the rollout is suspended, as each controller tells it."""
        rollouts = [one.status()["rollout"] for one in self.controllers]
        return {(rollout["pin"], rollout["suspended"]) for rollout in rollouts}

    def fleets(self) -> list[list[tuple[str, str, str]]]:
        return [
            [(row["id"], row["state"], row["revision"]) for row in one.fleet() if row["state"] != "OFFLINE"]
            for one in self.controllers
        ]


@pytest.fixture(scope="module")
def numbers(
    tmp_path_factory: pytest.TempPathFactory,
    start_controller: StartController,
    start_sidecar: StartSidecar,
    start_simulator: StartSimulator,
) -> Iterator[Numbers]:
    doors = [Door(name, "openai", start_simulator(name).url) for name in ("red", "green", "blue")]
    daemon = GitDaemon(tmp_path_factory.mktemp("git"))
    daemon.repo.commit(files(doors, {"support": use_case("red")}) | {"pointsman.yaml": PLATFORM})
    daemon.push()
    with postgres_server() as postgres:
        database = ["--database-url", postgres.new_database()]
        first = start_controller(daemon.repo.path, options=database)
        first.child.wait_for("revision.accepted")
        second = start_controller(daemon.repo.path, options=[*database, *first.keys()])
        third = start_controller(daemon.url, options=[*database, *first.keys(), "--poll", "200ms"])  # type: ignore[arg-type]
        sidecars = [
            start_sidecar(one.url, options=["--controller-token", str(one.token_file)]) for one in (second, third) * 2
        ]
        yield Numbers(daemon, postgres, [first, second, third], sidecars)
        daemon.stop()


def test_one_commit_is_one_pointer_everywhere_and_every_controller_knows_the_whole_fleet(numbers: Numbers) -> None:
    for one in numbers.controllers:
        assert ("controller.own_key" in one.child.stderr()) == (one is numbers.controllers[0])
    synced = ["SYNCED"] * SIDECARS
    eventually(lambda: all([row[1] for row in fleet] == synced for fleet in numbers.fleets()), CATCH_UP_SECONDS)
    assert [one.status()["live_sidecars"] for one in numbers.controllers] == [SIDECARS] * 3
    (seq,) = {pointer["seq"] for pointer in numbers.pointers()}

    numbers.take_up("green")
    revision = numbers.take_up("blue")
    assert {pointer["seq"] for pointer in numbers.pointers()} == {seq + 4}, "each on trial, then for all"
    on_it = [("SYNCED", revision)] * SIDECARS
    eventually(lambda: all([row[1:] for row in fleet] == on_it for fleet in numbers.fleets()), CATCH_UP_SECONDS)


def test_of_acts_at_two_controllers_at_once_no_two_get_one_number(numbers: Numbers) -> None:
    first, second, third = numbers.controllers
    before = numbers.pointers()[0]
    pinned = first.status()["rollout"]["kept"][-1]["revision"]
    with ThreadPoolExecutor(3) as pool:
        asked = [
            pool.submit(first.act, "pin", bundle=pinned),
            pool.submit(second.act, "rollback"),
            pool.submit(third.act, "suspend"),
        ]
    pin, rollback, suspend = (one.result() for one in asked)
    assert (pin.status, suspend.status) == (200, 200)
    assert rollback.status == 200 or "a pin is set" in rollback.json["error"]["message"]
    eventually(numbers.serve_alike, CATCH_UP_SECONDS)
    (after,) = {json.dumps(pointer) for pointer in numbers.pointers()}
    assert json.loads(after)["revision"] == pinned
    assert json.loads(after)["seq"] == before["seq"] + 1 + (rollback.status == 200)
    eventually(lambda: numbers.run(pinned), CATCH_UP_SECONDS)

    for act in ("unpin", "resume"):
        assert third.act(act).status == 200
    eventually(numbers.serve_alike, CATCH_UP_SECONDS)
    eventually(lambda: numbers.held() == {(None, None)}, CATCH_UP_SECONDS)  # each hears of it in its own time


def test_a_trial_goes_on_when_a_controller_is_killed(numbers: Numbers) -> None:
    first, *others = numbers.controllers
    revision = numbers.commit("red")
    trial = numbers.pointers()[1]
    first.kill()
    with Load([lambda s=s: s.url for s in numbers.sidecars], workers=4) as load:  # type: ignore[misc]
        eventually(
            lambda: [one.status()["rollout"]["stable"]["revision"] for one in others] == [revision] * 2,
            CATCH_UP_SECONDS,
        )
        assert all(call.is_whole for call in load.stop())
    first.start()
    eventually(lambda: numbers.run(revision), CATCH_UP_SECONDS)
    assert numbers.pointers()[0]["seq"] == trial["seq"] + 1


def test_a_database_that_is_away_changes_nothing_and_comes_back_to_all(numbers: Numbers) -> None:
    before = numbers.controllers[0].signed_pointer()
    (epoch,) = {pointer["epoch"] for pointer in numbers.pointers()}
    numbers.postgres.kill()
    for one in numbers.controllers:
        reply = one.act("rollback")
        assert (reply.status, reply.json["error"]["code"]) == (503, "database_away")
        assert one.signed_pointer() == before
    numbers.controllers[0].kill()
    numbers.controllers[0].start()
    ready = numbers.controllers[0].ready()
    assert (ready.status, ready.json["error"]["code"]) == (503, "database_away")
    numbers.postgres.start()
    eventually(lambda: numbers.controllers[0].ready().status == 200, CATCH_UP_SECONDS)
    assert {one.signed_pointer() for one in numbers.controllers} == {before}

    numbers.take_up("blue")
    assert {pointer["epoch"] for pointer in numbers.pointers()} == {epoch}


def test_a_controller_whose_repository_lags_undoes_nothing(numbers: Numbers) -> None:
    running = numbers.controllers[0].signed_pointer()
    numbers.daemon.repo.git("push", "--quiet", "--force", str(numbers.daemon.bare), "HEAD~1:refs/heads/main")
    lagging = numbers.controllers[2]
    eventually(lambda: "does not follow" in lagging.problems()["error"], CATCH_UP_SECONDS)
    assert {one.signed_pointer() for one in numbers.controllers} == {running}
    numbers.daemon.push()
    eventually(lambda: lagging.problems()["error"] == "", CATCH_UP_SECONDS)
    assert {one.signed_pointer() for one in numbers.controllers} == {running}
    for one in numbers.controllers:
        assert one.stop() == 0
