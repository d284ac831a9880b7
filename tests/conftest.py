"""What black-box and system tests share: sidecars and simulated providers as processes, ended when their module is."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

from schemas.bundle import Bundle
from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess, StartSimulator

# The same examples in every run: a red test is about the change, and never about the day. No example is too slow, for
# the machine may be busy. `--hypothesis-profile=default` looks further.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="module")
def start_sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSidecar]:
    """Starts sidecars that run rules when it returns; all are stopped after the module's last test."""
    with ExitStack() as ends:

        def start(
            rules: Bundle | Path | str,
            *,
            environment: Mapping[str, str] | None = None,
            options: Sequence[str] = (),
        ) -> SidecarProcess:
            folder = tmp_path_factory.mktemp("sidecar")
            sidecar = SidecarProcess(rules, folder, environment=environment, options=options)
            ends.callback(sidecar.stop)
            return sidecar.wait_ready()

        yield start


@pytest.fixture(scope="module")
def start_controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartController]:
    """Starts controllers that follow a repository; all are stopped after the module's last test."""
    with ExitStack() as ends:

        def start(repo: Path, *, options: Sequence[str] = ()) -> ControllerProcess:
            controller = ControllerProcess(repo, tmp_path_factory.mktemp("controller"), options)
            ends.callback(controller.stop)
            return controller

        yield start


@pytest.fixture(scope="module")
def start_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSimulator]:
    """Starts simulated providers; all are stopped after the module's last test."""
    numbers = count()
    folder = tmp_path_factory.mktemp("simulators")
    with ExitStack() as ends:

        def start(name: str = "simulator", *, port: int = 0, options: Sequence[str] = ()) -> SimulatorProcess:
            own = folder / str(next(numbers))
            own.mkdir()
            simulator = SimulatorProcess(own, name, port=port, options=options)
            ends.callback(simulator.stop)
            return simulator

        yield start
