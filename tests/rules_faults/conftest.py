"""One small system for many faults: a served repository, a controller that follows it, a sidecar that answers calls."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fakes import wire
from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.git_daemon import GitDaemon
from tests.fakes.processes import eventually
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess, StartSimulator
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

SETTLED_SECONDS = 20.0


@dataclass(frozen=True)
class System:
    git: GitDaemon
    controller: ControllerProcess
    sidecar: SidecarProcess
    maker: SimulatorProcess
    rules: dict[str, str]
    """The files of a good revision."""

    def primary(self, model: str) -> str:
        """Commits and pushes a good revision that calls this model first."""
        self.git.repo.commit({USE_CASE_FILE: use_case(model)})
        return self.git.push()

    def report(self) -> dict[str, Any]:
        return self.controller.problems()

    def wait_for_report(self, revision: str) -> dict[str, Any]:
        """Why the controller runs what it runs, once it has looked at this revision."""
        return eventually(lambda: report if (report := self.report())["revision"] == revision else None, 20)

    def wait_for(self, revision: str) -> None:
        eventually(lambda: self.sidecar.status().active.revision == revision, SETTLED_SECONDS)

    def wait_until_unavailable(self) -> str:
        """The controller's word for why it cannot read its repository."""
        return eventually(lambda: str(self.report()["error"]) or None, SETTLED_SECONDS)

    def answers(self) -> str:
        """The model that answers a call now; a call that is not answered is a failure."""
        body = {"model": "support", "messages": [{"role": "user", "content": "Hello"}]}
        reply = wire.post(f"{self.sidecar.url}/v1/chat/completions", body)
        assert reply.status == 200, reply.body
        return reply.headers["x-pointsman-model"]

    def act(self, name: str, **body: str) -> dict[str, Any]:
        token = (self.controller.state / "admin.token").read_text()
        reply = wire.post(
            f"{self.controller.url}/v1/{name}", {"reason": "a test"} | body, {"authorization": f"Bearer {token}"}
        )
        assert reply.status == 200, reply.body
        return dict(reply.json)


def sidecar_options(controller: ControllerProcess) -> Sequence[str]:
    return ["--controller-token", str(controller.token_file), "--public-key", str(controller.public_key_file)]


@pytest.fixture(scope="module")
def serve_git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitDaemon]:
    with ExitStack() as ends:
        daemon = GitDaemon(tmp_path_factory.mktemp("git"))
        ends.callback(lambda: os.path.exists(f"/proc/{daemon.child.popen.pid}") and daemon.stop())
        yield daemon


@pytest.fixture(scope="module")
def system(
    serve_git: GitDaemon,
    start_controller: StartController,
    start_sidecar: StartSidecar,
    start_simulator: StartSimulator,
) -> System:
    maker = start_simulator("alpha")
    doors = [Door("red", "openai", maker.url), Door("green", "anthropic", maker.url)]
    rules = files(doors, {"support": use_case("red")})
    serve_git.repo.commit(rules)
    first = serve_git.push()
    controller = start_controller(serve_git.url, options=["--poll", "50ms"])  # type: ignore[arg-type]
    controller.child.wait_for(f"revision.accepted revision={first}")
    sidecar = start_sidecar(controller.url, options=sidecar_options(controller))
    return System(serve_git, controller, sidecar, maker, rules)
