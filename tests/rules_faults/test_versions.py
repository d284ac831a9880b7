"""State that another version wrote: an earlier one's is taken up, and a later one's is left aside without harm.

`golden/state` is what 0.1.0 leaves behind, both programs', signed with a seed of zeros. A later version that writes
otherwise gets a folder of its own beside it, and this one stays.
"""

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from controller.sign import Signer, save_public_key
from tests.fakes import wire
from tests.fakes.controller import ControllerProcess
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RULES, RulesRepo
from tests.fakes.sidecar import SidecarProcess

STATE: Final = Path(__file__).parents[1] / "golden" / "state"
SEED: Final = bytes(32)
SETTLED_SECONDS: Final = 20.0


class Place:
    """Where both programs find what another version left."""

    def __init__(self, folder: Path, ends: ExitStack) -> None:
        self.folder, self._ends = folder, ends
        self.repo = RulesRepo(folder / "rules")
        for program in ("controller", "sidecar"):
            shutil.copytree(STATE / program, folder / program / "state")
        (folder / "key").write_text(base64.b64encode(SEED).decode())
        save_public_key(folder / "signing.pub", Signer(SEED))

    def start_controller(self) -> ControllerProcess:
        controller = ControllerProcess(
            self.repo.path, self.folder / "controller", ["--signing-key", str(self.folder / "key")]
        )
        self._ends.callback(controller.stop)
        return controller

    def start_sidecar(self, controller: ControllerProcess) -> SidecarProcess:
        options = ["--controller-token", str(controller.token_file), "--public-key", str(self.folder / "signing.pub")]
        sidecar = SidecarProcess(controller.url, self.folder / "sidecar", options=options)
        self._ends.callback(sidecar.stop)
        return sidecar


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as ends:
        yield Place(tmp_path, ends)


def test_what_an_earlier_version_left_is_taken_up_and_goes_on(place: Place) -> None:
    controller = place.start_controller()
    report = controller.problems()
    assert (report["active_revision"], report["seq"]) == ("second", 2)
    sidecar = place.start_sidecar(controller)
    status = sidecar.status()
    assert (status.id, status.active.revision, status.seq, status.error) == ("golden-sidecar", "second", 2, "")
    eventually(lambda: [row["id"] for row in controller.calls()] == ["kept-call"], SETTLED_SECONDS)
    commit = place.repo.commit(RULES)
    eventually(lambda: sidecar.status().active.revision == commit, SETTLED_SECONDS)
    assert (sidecar.status().seq, sidecar.status().error) == (3, "")


def test_what_a_later_version_left_is_set_aside_and_the_fleet_goes_on(place: Place) -> None:
    for program in ("controller", "sidecar"):
        for path in (place.folder / program / "state").rglob("*.json"):
            path.write_text(json.dumps(invented(json.loads(path.read_bytes()))))
    commit = place.repo.commit(RULES)
    controller = place.start_controller()
    controller.child.wait_for(f"revision.accepted revision={commit}")
    assert "state.unreadable" in controller.child.stderr()
    assert (controller.state / "published.bad").exists()
    sidecar = place.start_sidecar(controller)
    eventually(lambda: sidecar.status().active.revision == commit, SETTLED_SECONDS)
    assert sidecar.status().error == ""
    eventually(lambda: [row["id"] for row in controller.calls()] == ["kept-call"], SETTLED_SECONDS)


def test_what_a_later_sidecar_says_of_itself_is_understood_as_far_as_it_is_known(place: Place) -> None:
    controller = place.start_controller()
    token = {"authorization": f"Bearer {controller.token_file.read_text().splitlines()[0]}"}
    status = {"id": "later", "version": "9.0.0", "state": "ACTIVE", "invented": {"by": "9.0.0"}}
    assert wire.post(f"{controller.url}/v1/status", status, token).status < 300
    assert "later" in {row["id"] for row in controller.fleet()}


def invented(value: object) -> object:
    """With a field that nobody here knows in every mapping."""
    if isinstance(value, dict):
        return {name: invented(inner) for name, inner in value.items()} | {"invented": 1}
    return [invented(inner) for inner in value] if isinstance(value, list) else value
