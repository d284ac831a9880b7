"""A sidecar that starts after its death, on what its disk holds: never on half of something, and never without end."""

from pathlib import Path

import pytest

from schemas.bundle import Bundle, Secret
from tests.fakes import core_bundles, wire
from tests.fakes.processes import eventually
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import StartSimulator

QUESTION = {"model": "chat", "messages": [{"role": "user", "content": "Hello."}]}


def rules(revision: str) -> Bundle:
    return core_bundles.bundle(revision=revision)


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar) -> SidecarProcess:
    return start_sidecar(rules("first"))


def runs(sidecar: SidecarProcess, revision: str) -> bool:
    return sidecar.status().active.revision == revision


def test_rules_under_which_it_dies_again_and_again_are_set_aside_also_where_a_file_still_names_them(
    sidecar: SidecarProcess,
) -> None:
    sidecar.write(rules("deadly"))
    for _ in range(3):
        eventually(lambda: runs(sidecar, "deadly"))
        sidecar.kill()
        sidecar.start()
    eventually(lambda: "died 3 times" in sidecar.status().error)
    assert runs(sidecar, "first")
    sidecar.write(rules("second"))
    eventually(lambda: runs(sidecar, "second") and sidecar.status().error == "")


def test_a_damaged_file_gives_way_to_the_one_before_and_without_either_it_is_not_ready_until_rules_come(
    sidecar: SidecarProcess,
) -> None:
    for revision in ("third", "fourth"):
        sidecar.write(rules(revision))
        eventually(lambda revision=revision: runs(sidecar, revision))  # type: ignore[misc]
    current, previous = (sidecar.state / "rules" / name for name in ("current.json", "previous.json"))
    source = sidecar.state.parent / "bundle.json"
    kept = source.rename(source.with_suffix(".away"))
    tear(current)
    sidecar.kill()
    sidecar.start()
    assert runs(sidecar, "third")
    tear(current)
    tear(previous)
    sidecar.kill()
    sidecar.start()
    assert wire.get(f"{sidecar.admin_url}/readyz").status == 503
    refused = wire.post(f"{sidecar.url}/v1/chat/completions", QUESTION)
    assert (refused.status, refused.json["error"]["code"]) == (503, "not_ready")
    kept.rename(source)
    eventually(lambda: runs(sidecar, "fourth"), 10)
    assert wire.get(f"{sidecar.admin_url}/readyz").status == 200


def tear(path: Path) -> None:
    """The half of it, as a machine that lost its power leaves it."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_key_that_is_missing_costs_its_provider_and_one_that_comes_is_used_at_once(
    tmp_path: Path, start_sidecar: StartSidecar, start_simulator: StartSimulator
) -> None:
    maker = start_simulator("alpha")
    key = tmp_path / "key"
    providers = {
        "one": core_bundles.provider(f"{maker.url}/v1", api_key=Secret(file=str(key))),
        "two": core_bundles.provider(f"{maker.url}/v1"),
    }
    sidecar = start_sidecar(core_bundles.bundle(providers=providers))
    assert answering(sidecar) == "beta"
    for secret in ("first", "second"):
        fresh = key.with_suffix(".new")
        fresh.write_text(secret)
        fresh.rename(key)
        assert answering(sidecar) == "alpha"
    key.unlink()
    assert answering(sidecar) == "beta"


def answering(sidecar: SidecarProcess) -> str:
    reply = wire.post(f"{sidecar.url}/v1/chat/completions", QUESTION)
    assert reply.status == 200, reply.body
    return reply.headers["x-pointsman-model"]


def test_a_mounted_config_map_is_read_whole_or_not_at_all(tmp_path: Path, start_sidecar: StartSidecar) -> None:
    mount = tmp_path / "mount"
    flip(mount, "1", whole("first"))
    (mount / "bundle.json").symlink_to("..data/bundle.json")
    sidecar = start_sidecar(mount)
    assert runs(sidecar, "first")
    flip(mount, "2", whole("second")[:-40])
    eventually(lambda: "not a bundle" in sidecar.status().error, 10)
    flip(mount, "3", b"")
    flip(mount, "4", whole("third"))
    eventually(lambda: runs(sidecar, "third") and sidecar.status().error == "", 10)
    assert sidecar.stderr().count("rules.activated") == 2, "the first and the third, each once"


def whole(revision: str) -> bytes:
    return core_bundles.encode_bundle(rules(revision))


def flip(mount: Path, version: str, data: bytes) -> None:
    """As a kubelet does it: a new folder, and a link to it that is renamed into the place of the old one."""
    folder = mount / f"..{version}"
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_bytes(data)
    link = mount / "..data_tmp"
    link.symlink_to(folder.name)
    link.rename(mount / "..data")
