"""A controller that was never there, or that stands still: sidecars say so, serve on, and take up what comes later."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def stopped_after(sidecar: SidecarProcess) -> Iterator[SidecarProcess]:
    try:
        yield sidecar
    finally:
        sidecar.stop()
