"""A controller that was never there, or that stands still: sidecars say so, serve on, and take up what comes later."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes import wire
from tests.fakes.controller import StartController
from tests.fakes.load import Load, counted
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess
from tests.fakes.simulator import StartSimulator
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

CATCH_UP_SECONDS = 20.0
QUESTION = {"model": "support", "messages": [{"role": "user", "content": "Hello."}]}


def test_a_sidecar_without_any_rules_says_so_and_heals_by_itself_and_a_frozen_controller_holds_nobody_up(
    tmp_path: Path, start_controller: StartController, start_simulator: StartSimulator
) -> None:
    maker = start_simulator("alpha")
    doors = [Door("red", "openai", maker.url), Door("green", "anthropic", maker.url)]
    repo = RulesRepo(tmp_path / "rules")
    repo.commit(files(doors, {"support": use_case("red")}))
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    controller.kill()
    options = ["--controller-token", str(controller.token_file)]
    with stopped_after(SidecarProcess(controller.url, tmp_path / "sidecar", options=options)) as sidecar:
        assert wire.get(f"{sidecar.admin_url}/readyz").status == 503
        assert wire.get(f"{sidecar.admin_url}/healthz").status == 200
        refused = wire.post(f"{sidecar.url}/v1/chat/completions", QUESTION)
        assert (refused.status, refused.json["error"]["code"]) == (503, "not_ready")
        assert "no rules yet" in refused.json["error"]["message"]

        controller.start()
        eventually(lambda: wire.get(f"{sidecar.admin_url}/readyz").status == 200, CATCH_UP_SECONDS)
        with Load([lambda: sidecar.url], workers=4) as load:
            load.wait_for(8)
            controller.child.popen.send_signal(signal.SIGSTOP)
            revision = repo.commit({USE_CASE_FILE: use_case("green")})
            load.wait_for(40)
            controller.child.popen.send_signal(signal.SIGCONT)
            eventually(lambda: sidecar.status().active.revision == revision, CATCH_UP_SECONDS)
            load.wait_for(8)
            came = load.stop()
        assert all(call.is_whole for call in came), counted(came)
        assert {came[0].model, came[-1].model} == {"red", "green"}


@pytest.mark.parametrize("is_repository", [True, False])
def test_a_controller_that_starts_while_its_source_is_away_goes_on_with_what_ran_and_finds_it_again(
    tmp_path: Path, start_controller: StartController, start_simulator: StartSimulator, is_repository: bool
) -> None:
    maker = start_simulator("alpha")
    doors = [Door("red", "openai", maker.url), Door("green", "anthropic", maker.url)]
    repo, away = RulesRepo(tmp_path / "rules"), tmp_path / "away"
    repo.commit(files(doors, {"support": use_case("red")}))
    if not is_repository:
        shutil.rmtree(repo.path / ".git")
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    controller.kill()
    repo.path.rename(away)
    controller.start()
    options = ["--controller-token", str(controller.token_file)]
    with stopped_after(SidecarProcess(controller.url, tmp_path / "sidecar", options=options)) as sidecar:
        eventually(lambda: wire.get(f"{sidecar.admin_url}/readyz").status == 200, CATCH_UP_SECONDS)
        ran = sidecar.status().active.revision
        eventually(lambda: controller.problems()["error"] or None, CATCH_UP_SECONDS)
        away.rename(repo.path)
        (repo.path / USE_CASE_FILE).write_text(use_case("green"))
        if is_repository:
            repo.commit({USE_CASE_FILE: use_case("green")})
        eventually(lambda: sidecar.status().active.revision != ran, CATCH_UP_SECONDS)
        assert wire.post(f"{sidecar.url}/v1/chat/completions", QUESTION).headers["x-pointsman-model"] == "green"


def test_what_lies_in_the_state_folders_is_for_nobody_else(
    tmp_path: Path, start_controller: StartController, start_simulator: StartSimulator
) -> None:
    maker = start_simulator("alpha")
    doors = [Door("red", "openai", maker.url), Door("green", "anthropic", maker.url)]
    repo = RulesRepo(tmp_path / "rules")
    repo.commit(files(doors, {"support": use_case("red")}))
    controller = start_controller(repo.path)
    options = ["--controller-token", str(controller.token_file)]
    with stopped_after(SidecarProcess(controller.url, tmp_path / "sidecar", options=options)) as sidecar:
        eventually(lambda: wire.get(f"{sidecar.admin_url}/readyz").status == 200, CATCH_UP_SECONDS)
        assert wire.post(f"{sidecar.url}/v1/chat/completions", QUESTION).status == 200
        for state in (controller.state, sidecar.state):
            found = [state, *state.rglob("*")]
            assert len(found) > 4
            open_to_others = [path for path in found if path.stat().st_mode & 0o077 and not is_shut_in(path, state)]
            assert open_to_others == []
        keys = ("signing.key", "sidecar.token", "admin.token")
        assert {(controller.state / name).stat().st_mode & 0o777 for name in keys} == {0o600}


def is_shut_in(path: Path, state: Path) -> bool:
    """A folder above it, from the state folder down, lets nobody else in."""
    return any(not above.stat().st_mode & 0o077 for above in path.parents if above == state or state in above.parents)


def test_a_source_that_never_was_there_is_a_mistake(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "controller", "serve", "--repo", "rules", "--state", str(tmp_path / "state")]
    done = subprocess.run(
        [*command, "--listen", "127.0.0.1:0"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert f"--repo: no folder {tmp_path / 'rules'}" in done.stderr


@contextmanager
def stopped_after(sidecar: SidecarProcess) -> Iterator[SidecarProcess]:
    try:
        yield sidecar
    finally:
        sidecar.stop()
