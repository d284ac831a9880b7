"""Two controllers on one PostgreSQL, a sidecar at each: both book into one ledger, and catch up when it was away."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.load import Load, counted
from tests.fakes.postgres import postgres_server
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import Door, files, use_case

CATCH_UP_SECONDS = 60.0
"""A sidecar looks for its controller at growing intervals."""
CALLS = 40


@dataclass(frozen=True)
class Place:
    controller: ControllerProcess
    sidecar: SidecarProcess

    def is_quiet(self) -> bool:
        return self.sidecar.status().spooled_records == 0


def test_one_ledger_for_a_fleet(
    tmp_path: Path, start_controller: StartController, start_sidecar: StartSidecar, start_simulator: StartSimulator
) -> None:
    maker = start_simulator("alpha")
    repo = RulesRepo(tmp_path / "rules")
    doors = [Door("red", "openai", maker.url), Door("green", "anthropic", maker.url)]
    repo.commit(files(doors, {"support": use_case("red", "green")}))
    with postgres_server() as postgres:
        url = postgres.new_database()
        places: list[Place] = []
        for _ in range(2):
            keys = places[0].controller.keys() if places else []
            controller = start_controller(repo.path, options=["--database-url", url, *keys])
            controller.child.wait_for("revision.accepted")
            options = ["--controller-token", str(controller.token_file)]
            places.append(Place(controller, start_sidecar(controller.url, options=options)))
        made = make_calls(places)
        eventually(lambda: all(place.is_quiet() for place in places), CATCH_UP_SECONDS)

        postgres.kill()
        made += make_calls(places)
        eventually(lambda: not any(place.controller.ledger()["available"] for place in places), CATCH_UP_SECONDS)
        assert any(place.sidecar.status().spooled_records for place in places)
        postgres.start()
        eventually(lambda: all(place.is_quiet() for place in places), CATCH_UP_SECONDS)

        for place in places:
            assert place.controller.ledger() == {
                "database": "postgresql", "available": True, "error": "", "waiting_batches": 0,
            }  # fmt: skip
            assert place.controller.requests() == made
        one, other = (place.controller.usage("use_case,model,outcome") for place in places)
        assert one == other
        assert sum(Decimal(row["cost_usd"]) for row in one) > 0
        for place in places:
            assert place.controller.stop() == 0


def make_calls(places: list[Place]) -> int:
    with Load([lambda place=place: place.sidecar.url for place in places], workers=4) as load:
        load.wait_for(CALLS)
        came = load.stop()
    assert all(call.is_whole for call in came), counted(came)
    return len(came)
