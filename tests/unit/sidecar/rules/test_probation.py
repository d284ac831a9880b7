"""Rules under which a process keeps dying: counted, set aside, forgiven."""

from pathlib import Path

import pytest

from sidecar.rules.probation import MAX_DEATHS, Probation


def die(folder: Path, *digests: str, version: str = "1") -> None:
    process = Probation(folder, version)
    for digest in digests:
        process.begin(digest)


def refuses(folder: Path, digest: str, version: str = "1") -> bool:
    return Probation(folder, version).refuses(digest)


def test_three_deaths_set_rules_aside_for_good(tmp_path: Path) -> None:
    for _ in range(MAX_DEATHS):
        assert not refuses(tmp_path, "new")
        die(tmp_path, "new")
    assert refuses(tmp_path, "new")
    assert not refuses(tmp_path, "old")
    assert refuses(tmp_path, "new"), "it is remembered"


def test_who_ran_before_the_death_is_not_blamed(tmp_path: Path) -> None:
    for _ in range(MAX_DEATHS):
        die(tmp_path, "old", "new")
    assert refuses(tmp_path, "new")
    assert not refuses(tmp_path, "old")


def test_a_stop_is_no_death(tmp_path: Path) -> None:
    for _ in range(MAX_DEATHS * 2):
        process = Probation(tmp_path, "1")
        process.begin("new")
        process.end()
    assert not refuses(tmp_path, "new")


def test_another_version_may_try_again(tmp_path: Path) -> None:
    for _ in range(MAX_DEATHS):
        die(tmp_path, "new")
    assert refuses(tmp_path, "new")
    assert not refuses(tmp_path, "new", version="2")


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b'{"version":1}', b"[" * 90_000])
def test_a_damaged_file_suspects_nobody(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "probation.json").write_bytes(damage)
    assert not refuses(tmp_path, "new")
    die(tmp_path, "new")


def test_a_folder_that_cannot_be_written_keeps_nobody_from_running(tmp_path: Path) -> None:
    process = Probation(tmp_path / "gone", "1")
    process.begin("new")
    process.hold()
    process.end()
    assert not process.refuses("new")
