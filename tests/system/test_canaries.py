"""A merged `canary:` on processes: a good model climbs to all traffic by itself, worse ones are taken back, and why."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from controller.cli import main
from tests.fakes import wire
from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.load import Came, Kind, Load
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import Door, files, use_case

TERMS = "percent: 50, ladder: [50, 80, 100], margin: 0.1, planned_calls: 400"
CHECKS = "quality_bar: {checks: [complete, not_refused]}\n"
CANARIES = {"support": "good", "chat": "refusing", "coding": "dear"}
DECIDED_SECONDS = 60.0
"""Calls to the ledger, figures, a verdict: a few seconds on a machine with nothing else to do."""


class System:
    def __init__(self, repo: RulesRepo, controller: ControllerProcess, sidecar: SidecarProcess) -> None:
        self.repo = repo
        self.controller = controller
        self.sidecar = sidecar

    def canary(self, name: str) -> dict[str, Any]:
        canaries = wire.get(f"{self.controller.url}/v1/status").json["rollout"]["canaries"]
        return next((dict(one) for one in canaries if one["use_case"] == name), {"state": "", "percent": None})

    def becomes(self, name: str, state: str, percent: float) -> None:
        eventually(lambda: _stands(self.canary(name)) == (state, percent), DECIDED_SECONDS)

    @contextmanager
    def load(self, *use_cases: str) -> Iterator[Load]:
        with Load(
            [lambda: self.sidecar.url], workers=6, ways=[Kind("openai", False, name) for name in use_cases]
        ) as load:
            yield load

    def steering(self, came: Came) -> str:
        """What the record of a call says of it."""
        return str(wire.get(f"{self.sidecar.url}/pointsman/calls/{came.id}").json.get("steering", ""))


def _stands(canary: dict[str, Any]) -> tuple[str, float]:
    return canary["state"], canary["percent"]


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory,
    start_controller: StartController,
    start_sidecar: StartSidecar,
    start_simulator: StartSimulator,
) -> System:
    makers = {name: start_simulator(name) for name in ("old", "good", "refusing", "dear")}
    makers["refusing"].fault({"refusal": True})
    doors = [Door(name, "openai", maker.url) for name, maker in makers.items()]
    rules = files(doors, {name: use_case("old", name=name, more=CHECKS) for name in CANARIES})
    rules["models/dear.yaml"] = rules["models/dear.yaml"].replace("input: 3.00, output: 15.00", "input: 15, output: 75")
    repo = RulesRepo(tmp_path_factory.mktemp("rules"))
    repo.commit(rules)
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    sidecar = start_sidecar(controller.url, options=["--controller-token", str(controller.token_file)])
    repo.commit({
        f"use-cases/{name}/use-case.yaml": use_case(
            "old", name=name, more=f"{CHECKS}canary: {{model: {model}, {TERMS}}}\n"
        )
        for name, model in CANARIES.items()
    })  # fmt: skip
    return System(repo, controller, sidecar)


def test_the_good_one_climbs_over_a_restart_and_is_promoted_and_worse_ones_are_taken_back(system: System) -> None:
    with system.load(*CANARIES) as load:
        system.becomes("support", "running", 80)
        system.controller.kill()
        system.controller.start()
        assert _stands(system.canary("support")) == ("running", 80)
        system.becomes("support", "promoted", 100)
        system.becomes("chat", "rolled_back", 0)
        system.becomes("coding", "rolled_back", 0)
        assert all(call.is_whole for call in load.stop())
    why = {name: system.canary(name)["reason"] for name in CANARIES}
    assert "not worse by 10 points: 100.00% of " in why["support"]
    assert "answers cut or refused: 100.00% of its calls, 0.00% by old" in why["chat"]
    assert "spend: a call costs " in why["coding"]

    with system.load(*CANARIES) as load:
        eventually(
            lambda: {name: system.steering(call) for call in load.came[-6:] for name in (call.kind.use_case,)} == why
        )
        load.wait_for(30)
        last = load.stop()[-20:]
    served = {(call.kind.use_case, call.model) for call in last}
    assert served == {("support", "good"), ("chat", "old"), ("coding", "old")}


def test_people_see_why_and_have_the_last_word(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    to = ["--controller", system.controller.url]
    admin = [*to, "--admin-token", str(system.controller.state / "admin.token")]

    def says(*words: str) -> tuple[int, str]:
        status = main(["canary", *words])
        written = capsys.readouterr()
        return status, written.out + written.err

    for command in (("canary", "list"), ("fleet",)):
        assert main([*command, *to]) == 0
        shown = capsys.readouterr().out
        for name in CANARIES:
            assert f"{name}: {system.canary(name)['reason']}\n" in shown
    status, shown = says("resume", "chat", "--reason", "mended", *admin)
    assert (status, "chat: canary refusing at 50 % (step 3): mended\n" in shown) == (0, True)
    status, shown = says("stop", "chat", "--reason", "not yet", *admin, "--format", "json")
    canaries = {one["use_case"]: one for one in json.loads(shown)["canaries"]}
    assert (status, _stands(canaries["chat"])) == (0, ("stopped", 0))
    status, shown = says("stop", "chats", "--reason", "not yet", *admin)
    assert (status, "those that have: chat, coding, support" in shown) == (1, True)


def test_the_commit_that_makes_it_the_primary_ends_the_canary(system: System) -> None:
    system.becomes("support", "promoted", 100)
    system.repo.commit({"use-cases/support/use-case.yaml": use_case("good", "old", more=CHECKS)})
    eventually(lambda: system.canary("support")["state"] == "")
    with system.load("support") as load:
        load.wait_for(20)
        last = load.stop()[-5:]
    assert {(call.model, call.reason, system.steering(call)) for call in last} == {("good", "primary", "")}
