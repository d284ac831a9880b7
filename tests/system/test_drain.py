"""SIGTERM: not ready at once, open calls finish, their records are shipped, and what is stuck is ended honestly."""

import asyncio
import signal
from concurrent.futures import Future, ThreadPoolExecutor

import aiohttp
import pytest

from tests.fakes import wire
from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.load import Came, Kind, call, kinds
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess, StartSimulator
from tests.system.rules import Door, files, use_case


@pytest.fixture(scope="module")
def maker(start_simulator: StartSimulator) -> SimulatorProcess:
    return start_simulator("alpha", options=["--chunk-delay", "0.1"])


@pytest.fixture(scope="module")
def controller(
    tmp_path_factory: pytest.TempPathFactory, maker: SimulatorProcess, start_controller: StartController
) -> ControllerProcess:
    repo = RulesRepo(tmp_path_factory.mktemp("rules"))
    doors = [Door("red", "openai", maker.url), Door("green", "anthropic", maker.url)]
    repo.commit(files(doors, {"support": use_case("red"), "crossing": use_case("green", "red", name="crossing")}))
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    return controller


def test_open_calls_finish_and_their_records_are_shipped(
    maker: SimulatorProcess, controller: ControllerProcess, start_sidecar: StartSidecar
) -> None:
    maker.clear()
    maker.fault({"first_token_delay": 0.5})
    sidecar = start_sidecar(controller.url, options=[*token_of(controller), "--drain", "10"])
    with ThreadPoolExecutor(max_workers=8) as threads:
        opened = open_calls(threads, sidecar, (*kinds(), *kinds("crossing")))
        eventually(lambda: len(maker.entries()) == len(opened))
        sidecar.child.popen.send_signal(signal.SIGTERM)
        answer = eventually(lambda: not_ready(sidecar))
        came = [one.result() for one in opened]
    assert answer.body.startswith(b"draining")
    assert all(one.is_whole for one in came), [str(one) for one in came]
    assert sidecar.child.popen.wait(10) == 0
    booked = {row["id"]: row["outcome"] for row in controller.calls()}
    assert [booked[one.id] for one in came] == ["ok"] * len(came)


def test_calls_stuck_beyond_the_drain_end_with_an_error_that_says_so(
    maker: SimulatorProcess, controller: ControllerProcess, start_sidecar: StartSidecar
) -> None:
    maker.clear()
    maker.fault({"stall": 2})
    sidecar = start_sidecar(controller.url, options=[*token_of(controller), "--drain", "1"])
    ways = (*kinds(), *kinds("crossing"))
    with ThreadPoolExecutor(max_workers=len(ways)) as threads:
        opened = open_calls(threads, sidecar, ways)
        eventually(lambda: [entry["chunks_sent"] for entry in maker.entries() if entry["streamed"]] == [2] * 4)
        eventually(lambda: len(maker.entries()) == len(opened))
        sidecar.child.popen.send_signal(signal.SIGTERM)
        came = [one.result() for one in opened]
    assert sidecar.child.popen.wait(10) == 0, sidecar.stderr()
    assert "Traceback" not in sidecar.stderr()
    booked = {row["id"]: row for row in controller.calls()}
    for one in came:
        assert not one.broken, one
        assert b"shutting down" in one.body, one
        assert booked[one.id]["outcome"] == "not_ready"
        if one.kind.stream:
            assert one.has_error_event, one
            assert not one.has_end_mark, one
        else:
            assert one.status == 503, one


def token_of(controller: ControllerProcess) -> list[str]:
    return ["--controller-token", str(controller.token_file)]


def not_ready(sidecar: SidecarProcess) -> wire.Reply | None:
    answer = wire.get(f"{sidecar.admin_url}/readyz")
    return answer if answer.status == 503 else None


def open_calls(threads: ThreadPoolExecutor, sidecar: SidecarProcess, ways: tuple[Kind, ...]) -> list[Future[Came]]:
    """One call of each kind, each on a connection of its own."""

    async def one_call(way: Kind) -> Came:
        async with aiohttp.ClientSession() as session:
            return await call(session, sidecar.url, way, "Hello.")

    return [threads.submit(lambda way=way: asyncio.run(one_call(way))) for way in ways]
