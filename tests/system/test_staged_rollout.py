"""A poisoned commit meets a few sidecars and is taken back by itself; without calls nothing goes on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fakes import wire
from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.load import Load
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess, StartSimulator
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

SIDECARS = 4
PLATFORM = "schema: 1\nrollout: {stages: [25, 50, 100], bake: 2s, min_sidecars: 4, min_calls: 40}\n"
DECIDED_SECONDS = 60.0
"""Calls to the ledger, figures, a verdict: a few seconds on a machine with nothing else to do."""


@dataclass(frozen=True)
class System:
    repo: RulesRepo
    controller: ControllerProcess
    sidecars: Sequence[SidecarProcess]
    makers: dict[str, SimulatorProcess]

    def rollout(self) -> dict[str, Any]:
        return dict(wire.get(f"{self.controller.url}/v1/status").json["rollout"])

    def primary(self, model: str, *fallbacks: str) -> str:
        return self.repo.commit({USE_CASE_FILE: use_case(model, *fallbacks)})

    def runs(self) -> list[str]:
        return [sidecar.status().active.revision for sidecar in self.sidecars]

    def begin_trial(self, revision: str) -> None:
        """Until the first stage runs it."""
        eventually(lambda: (self.rollout()["trial"] or {}).get("revision") == revision, DECIDED_SECONDS)
        eventually(lambda: self.runs().count(revision) == 1, DECIDED_SECONDS)

    @contextmanager
    def load(self) -> Iterator[Load]:
        with Load([lambda s=s: s.url for s in self.sidecars], workers=4) as load:  # type: ignore[misc]
            yield load

    def act(self, name: str, **body: str) -> dict[str, Any]:
        token = (self.controller.state / "admin.token").read_text()
        reply = wire.post(
            f"{self.controller.url}/v1/{name}", {"reason": "a test"} | body, {"authorization": f"Bearer {token}"}
        )
        assert reply.status == 200, reply.body
        return dict(reply.json)


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory,
    start_controller: StartController,
    start_sidecar: StartSidecar,
    start_simulator: StartSimulator,
) -> System:
    makers = {name: start_simulator(name) for name in ("red", "green", "dear", "failing", "blue")}
    for number in range(400):  # the rules are tried in turn, and each counts what it lets pass: every second call fails
        makers["failing"].fault({"status": 500}, after=number, times=1)
    doors = [Door(name, "openai", maker.url) for name, maker in makers.items()]
    rules = files(doors, {"support": use_case("red", "blue")}) | {"pointsman.yaml": PLATFORM}
    rules["models/dear.yaml"] = rules["models/dear.yaml"].replace("input: 3.00, output: 15.00", "input: 9, output: 75")
    repo = RulesRepo(tmp_path_factory.mktemp("rules"))
    first = repo.commit(rules)
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    options = ["--controller-token", str(controller.token_file)]
    sidecars = [start_sidecar(controller.url, options=options) for _ in range(SIDECARS)]
    eventually(lambda: [row["state"] for row in controller.fleet()] == ["SYNCED"] * SIDECARS, DECIDED_SECONDS)
    made = System(repo, controller, sidecars, makers)
    assert made.runs() == [first] * SIDECARS
    return made


@pytest.mark.parametrize(
    ("model", "fallbacks", "says"),
    [
        ("dear", ["blue"], "support: a call costs "),
        ("failing", ["blue"], "support: fallbacks of "),
        ("failing", [], "support: errors of "),
    ],
)
def test_a_poisoned_commit_stops_at_the_first_stage_and_rolls_back_by_itself(
    system: System, model: str, fallbacks: list[str], says: str
) -> None:
    before = system.rollout()["stable"]["revision"]
    poisoned = system.primary(model, *fallbacks)
    system.begin_trial(poisoned)
    with system.load() as load:
        eventually(lambda: system.rollout()["trial"] is None, DECIDED_SECONDS)
        came = load.stop()
    assert all(call.is_whole for call in came) or not fallbacks
    (failure, *_) = system.rollout()["rolled_back"]
    assert (failure["revision"], failure["reason"].startswith(says)) == (poisoned, True), failure
    eventually(lambda: system.runs() == [before] * SIDECARS, DECIDED_SECONDS)
    assert system.rollout()["stable"]["revision"] == before


def test_a_good_commit_holds_without_calls_even_over_a_restart_and_goes_to_all_with_them(system: System) -> None:
    before = system.rollout()["stable"]["revision"]
    good = system.primary("green", "blue")
    system.begin_trial(good)
    eventually(lambda: "was called" in system.rollout()["trial"]["waits_for"], DECIDED_SECONDS)
    system.controller.kill()
    system.controller.start()
    assert system.rollout()["trial"]["stage"] == 0
    assert sorted(system.runs()) == sorted([good, *[before] * (SIDECARS - 1)])
    with system.load() as load:
        eventually(lambda: system.rollout()["stable"]["revision"] == good, DECIDED_SECONDS)
        assert all(call.is_whole for call in load.stop())
    eventually(lambda: system.runs() == [good] * SIDECARS, DECIDED_SECONDS)
    assert {member["state"] for member in system.controller.fleet()} == {"SYNCED"}


def test_a_pin_reaches_every_sidecar_and_holds_over_a_restart_with_the_repository_away(system: System) -> None:
    newest = system.rollout()["stable"]["revision"]
    older = next(kept["revision"] for kept in system.rollout()["kept"] if kept["revision"] != newest)
    seq = system.act("pin", bundle=older)["seq"]
    eventually(lambda: system.runs() == [older] * SIDECARS, DECIDED_SECONDS)
    away = system.repo.path.with_name("away")
    (system.repo.path / ".git" / "refs" / "heads" / "main").rename(away)
    system.controller.kill()
    system.controller.start()
    assert (system.rollout()["pin"]["revision"], system.rollout()["seq"]) == (older, seq)
    away.rename(system.repo.path / ".git" / "refs" / "heads" / "main")
    system.act("unpin")
    eventually(lambda: system.runs() == [newest] * SIDECARS, DECIDED_SECONDS)
    assert all(sidecar.status().error == "" for sidecar in system.sidecars)
