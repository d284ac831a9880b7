"""The controller is gone for a while: sidecars serve on, start from disk, keep their records, and catch up after."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.load import Came, Load, counted
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

CATCH_UP_SECONDS = 20.0
"""A sidecar looks for its controller at growing intervals: the longer it was away, the longer the next one."""


@dataclass(frozen=True)
class System:
    repo: RulesRepo
    controller: ControllerProcess
    sidecar: SidecarProcess

    def calls(self, count: int = 12) -> list[Came]:
        """So many good calls, or a few more."""
        with Load([lambda: self.sidecar.url], workers=4) as load:
            load.wait_for(count)
            came = load.stop()
        assert all(call.is_whole for call in came), counted(came)
        return came

    def commit(self, primary: str) -> str:
        return self.repo.commit({USE_CASE_FILE: use_case(primary)})

    def wait_for_rules(self, revision: str) -> None:
        eventually(lambda: self.sidecar.status().active.revision == revision, CATCH_UP_SECONDS)

    def wait_for_books(self, came: Sequence[Came]) -> None:
        wanted = {call.id for call in came}
        eventually(lambda: wanted <= {row["id"] for row in self.controller.calls()}, CATCH_UP_SECONDS)
        eventually(lambda: self.sidecar.status().spooled_records == 0)
        assert self.controller.requests() == len(self.controller.calls())

    def seq(self) -> int:
        return int(self.controller.problems()["seq"])


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory,
    start_controller: StartController,
    start_sidecar: StartSidecar,
    start_simulator: StartSimulator,
) -> System:
    maker = start_simulator("alpha")
    maker.fault({"first_token_delay": 0.01})
    doors = [Door("red", "openai", maker.url), Door("green", "anthropic", maker.url)]
    repo = RulesRepo(tmp_path_factory.mktemp("rules"))
    repo.commit(files(doors, {"support": use_case("red")}))
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    options = ["--controller-token", str(controller.token_file), "--public-key", str(controller.public_key_file)]
    return System(repo, controller, start_sidecar(controller.url, options=options))


def test_sidecars_serve_on_and_start_from_disk_and_their_records_are_booked_after(system: System) -> None:
    came = system.calls()
    before = system.sidecar.status()
    system.controller.kill()
    came += system.calls()

    system.sidecar.restart()
    assert system.sidecar.status().active.revision == before.active.revision
    came += system.calls()
    assert system.sidecar.status().spooled_records > 0

    changed = system.commit("green")
    assert {call.model for call in system.calls()} == {"red"}
    system.controller.start()
    system.wait_for_rules(changed)
    after = system.calls()
    assert {call.model for call in after} == {"green"}
    system.wait_for_books(came + after)


def test_a_restarted_controller_goes_on_with_its_sequence(system: System) -> None:
    system.wait_for_rules(system.commit("red"))
    before = system.seq()
    assert system.controller.stop() == 0
    system.controller.start()
    assert system.seq() == before  # the same commit is not published again
    system.wait_for_rules(system.commit("green"))
    assert system.seq() == before + 1
    assert system.sidecar.status().seq == before + 1
    assert system.sidecar.status().error == ""


def test_a_new_token_is_taken_up_at_once_and_a_new_key_is_not_trusted_before_a_restart(system: System) -> None:
    """The controller has lost everything: records are booked again, its rules need the new key's blessing."""
    system.wait_for_rules(system.commit("red"))
    system.controller.kill()
    system.controller.lose_everything()
    came = system.calls()
    system.controller.start()
    changed = system.commit("green")
    system.wait_for_books(came)
    eventually(lambda: "no trusted key signed" in system.sidecar.status().error, CATCH_UP_SECONDS)
    assert {call.model for call in system.calls()} == {"red"}

    system.sidecar.restart()
    system.sidecar.wait_ready()
    system.wait_for_rules(changed)
    assert {call.model for call in system.calls()} == {"green"}


def test_a_controller_that_lost_its_state_is_followed_all_the_same(system: System) -> None:
    """Its sequence starts anew in a higher epoch, which is no rollback."""
    for primary in ("red", "green", "red"):
        system.wait_for_rules(system.commit(primary))
    assert system.seq() > 2
    system.controller.kill()
    system.controller.lose_state()
    system.controller.start()
    changed = system.commit("green")
    system.wait_for_rules(changed)
    assert system.seq() <= 2
    assert system.sidecar.status().error == ""
    came = system.calls()
    assert {call.model for call in came} == {"green"}
    system.wait_for_books(came)
    (member,) = eventually(lambda: [row for row in system.controller.fleet() if row["state"] == "SYNCED"] or None)
    assert member["revision"] == changed
