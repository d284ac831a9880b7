"""A plan against a real ledger says where calls will go; then the change is committed, and there they go."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.fakes.controller import StartController
from tests.fakes.load import Load, counted
from tests.fakes.processes import REPOSITORY, eventually
from tests.fakes.rules_repo import RulesRepo, write_files
from tests.fakes.sidecar import StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

CALLS = 60


def test_what_is_planned_is_what_happens(
    tmp_path: Path, start_controller: StartController, start_sidecar: StartSidecar, start_simulator: StartSimulator
) -> None:
    maker = start_simulator("alpha")
    doors = [Door("red", "openai", maker.url), Door("green", "anthropic", maker.url)]
    repo = RulesRepo(tmp_path / "rules")
    repo.commit(files(doors, {"support": use_case("red", "green")}))
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    sidecar = start_sidecar(controller.url, options=["--controller-token", str(controller.token_file)])

    def calls() -> int:
        with Load([lambda: sidecar.url], workers=4) as load:
            load.wait_for(CALLS)
            came = load.stop()
        assert all(one.status == 200 for one in came), counted(came)
        eventually(lambda: sidecar.status().spooled_records == 0, 20)
        return len(came)

    made = calls()
    after = use_case("red", "green", more="rules:\n  - {when: {stream: true}, primary: green}\n")
    write_files(repo.path, {USE_CASE_FILE: after})
    done = subprocess.run(
        [sys.executable, "-m", "controller", "plan", str(repo.path), "--base", "main", "--controller", controller.url,
         "--admin-token", str(controller.state / "admin.token"), "--format", "json"],
        capture_output=True, text=True, cwd=REPOSITORY, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["replay"]["calls"] == made
    planned = Counter(
        {one["to"].partition("@")[0]: one["calls"] for one in plan["replay"]["use_cases"]["support"]["flows"]}
    )
    assert set(planned) == {"red", "green"}

    before = Counter({row["model"]: row["requests"] for row in controller.usage("model")})
    assert set(before) == {"red"}
    streamed = sum(row["stream"] for row in controller.calls())
    assert planned["green"] == streamed
    revision = repo.commit({USE_CASE_FILE: after})
    eventually(lambda: sidecar.status().active.revision == revision, 20)
    more = calls()
    now = controller.calls()[-more:]
    assert {row["stream"] for row in now if row["model"] == "green"} == {1}
    assert {row["stream"] for row in now if row["model"] == "red"} == {0}
