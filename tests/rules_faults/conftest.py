"""One small system for many faults: a served repository, a controller that follows it, a sidecar that answers calls."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import wire
from tests.fakes.controller import ControllerProcess
from tests.fakes.git_daemon import GitDaemon
from tests.fakes.processes import eventually
from tests.fakes.sidecar import SidecarProcess
from tests.fakes.simulator import SimulatorProcess
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

SETTLED_SECONDS = 20.0


@dataclass(frozen=True)
class System:
    git: GitDaemon
    controller: ControllerProcess
    sidecar: SidecarProcess
    rules: dict[str, str]
    """The files of a good revision."""

    @property
    def mirror(self) -> Path:
        """What the controller has fetched."""
        return self.controller.state / "mirror.git"

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

    def rollout(self) -> dict[str, Any]:
        return dict(wire.get(f"{self.controller.url}/v1/status").json["rollout"])

    def tried_at(self) -> str:
        """When the controller last began to look at its repository."""
        return str(self.report()["tried_at"])

    def is_fetching(self) -> bool:
        """Whether a git of the controller's is at work."""
        tasks = Path(f"/proc/{self.controller.child.popen.pid}/task").glob("*/children")
        return any(task.read_text().split() for task in tasks)

    def act(self, name: str, **body: str) -> dict[str, Any]:
        token = (self.controller.state / "admin.token").read_text()
        reply = wire.post(
            f"{self.controller.url}/v1/{name}", {"reason": "a test"} | body, {"authorization": f"Bearer {token}"}
        )
        assert reply.status == 200, reply.body
        return dict(reply.json)


def sidecar_options(controller: ControllerProcess) -> Sequence[str]:
    return ["--controller-token", str(controller.token_file), "--public-key", str(controller.public_key_file)]


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("system")
    with ExitStack() as ends:
        git = GitDaemon(folder / "git")
        ends.callback(git.stop)
        maker = SimulatorProcess(folder)
        ends.callback(maker.stop)
        doors = [Door("red", "openai", maker.url), Door("green", "anthropic", maker.url)]
        rules = files(doors, {"support": use_case("red")})
        git.repo.commit(rules)
        first = git.push()
        controller = ControllerProcess(git.url, folder / "controller", ["--poll", "50ms"])
        ends.callback(controller.stop)
        controller.child.wait_for(f"revision.accepted revision={first}")
        sidecar = SidecarProcess(controller.url, folder / "sidecar", options=sidecar_options(controller))
        ends.callback(sidecar.stop)
        yield System(git, controller, sidecar.wait_ready(), rules)
