"""Where rules come from: a file, a folder that changes under us, and which source is heard."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from schemas.bundle import BundleRefused, Pointer, SignedPointer, digest_of, encode_bundle
from sidecar.rules import sources
from sidecar.rules.cache import LastGood
from sidecar.rules.probation import Probation
from sidecar.rules.sources import SILENT_SECONDS, FileSource, compile_folder, run_sources
from sidecar.rules.store import RuleStore
from sidecar.rules.trust import LocalTrust
from tests.fakes import core_bundles as bundles
from tests.fakes import rules_repo
from tests.fakes.ports import HandClock


def written(revision: str) -> bytes:
    return encode_bundle(bundles.bundle(revision=revision))


@pytest.fixture
def store(tmp_path: Path) -> RuleStore:
    return RuleStore(HandClock(), LocalTrust(), LastGood(tmp_path / "state"), Probation(tmp_path / "state", "1"))


async def until(store: RuleStore, holds: Callable[[], bool]) -> None:
    changed = asyncio.Event()
    store.on_change.append(changed.set)
    async with asyncio.timeout(10):
        while not holds():
            changed.clear()
            await changed.wait()


async def test_a_file_is_read_at_once_and_again_when_it_changes(tmp_path: Path, store: RuleStore) -> None:
    path = tmp_path / "config" / "bundle.json"
    path.parent.mkdir()
    path.write_bytes(written("one"))
    work = asyncio.ensure_future(FileSource(path, store).run(lambda: True))
    await until(store, lambda: store.active.revision == "one")
    path.write_bytes(b"{")
    await until(store, lambda: store.error != "")
    assert store.active.revision == "one"
    path.with_suffix(".new").write_bytes(written("two"))
    os.replace(path.with_suffix(".new"), path)
    await until(store, lambda: store.active.revision == "two")
    assert store.error == ""
    work.cancel()
    await asyncio.wait([work])


async def test_what_is_written_while_a_file_is_first_read_is_seen(
    tmp_path: Path, store: RuleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the watch itself: the looks at fixed times are too far apart to help."""
    monkeypatch.setattr(sources, "POLL_SECONDS", 1000.0)
    path = tmp_path / "bundle.json"
    path.write_bytes(written("one"))
    later = iter([written("two")])

    def heard() -> bool:
        for data in later:
            path.write_bytes(data)
        return True

    work = asyncio.ensure_future(FileSource(path, store).run(heard))
    await until(store, lambda: store.active.revision == "two")
    work.cancel()
    await asyncio.wait([work])


async def test_a_mounted_config_map_is_swapped_by_its_link(tmp_path: Path, store: RuleStore) -> None:
    """Kubernetes writes a new dated folder and renames `..data` onto it."""
    for name in ("one", "two"):
        (tmp_path / f"..{name}").mkdir()
        (tmp_path / f"..{name}" / "bundle.json").write_bytes(written(name))
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "bundle.json").symlink_to("..data/bundle.json")
    work = asyncio.ensure_future(FileSource(tmp_path / "bundle.json", store).run(lambda: True))
    await until(store, lambda: store.active.revision == "one")
    (tmp_path / "..data_tmp").symlink_to("..two")
    os.replace(tmp_path / "..data_tmp", tmp_path / "..data")
    await until(store, lambda: store.active.revision == "two")
    work.cancel()
    await asyncio.wait([work])


def test_a_file_that_goes_while_a_folder_is_looked_at_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("x")
    before = sources._fingerprint(tmp_path)
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    assert sources._fingerprint(tmp_path) == before
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_text("x")
    assert sources._fingerprint(tmp_path) == before
    (tmp_path / "b.yaml").write_text("x")
    assert sources._fingerprint(tmp_path) != before


async def test_a_rules_folder_is_compiled(tmp_path: Path) -> None:
    rules_repo.write_files(tmp_path, rules_repo.RULES)
    assert b'"revision":"folder:' in await compile_folder(tmp_path)


async def test_a_folder_with_a_problem_is_refused_with_its_place(tmp_path: Path) -> None:
    rules_repo.write_files(tmp_path, {**rules_repo.RULES, **rules_repo.BROKEN})
    with pytest.raises(BundleRefused, match=r"use-cases/support/use-case.yaml:5:10 .*sonet"):
        await compile_folder(tmp_path)


class Said:
    """A source that says when it is told to, and keeps whether it was heard."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: Callable[[], bool] = lambda: False

    async def run(self, heard: Callable[[], bool]) -> None:
        self.heard = heard
        await asyncio.get_running_loop().create_future()


async def test_a_later_source_is_heard_only_while_every_earlier_one_is_silent() -> None:
    clock, first, second = HandClock(), Said("first"), Said("second")
    work = asyncio.ensure_future(run_sources([first, second], clock))
    await clock.turn(0)
    assert second.heard(), "the first has never said anything"
    assert first.heard()
    assert not second.heard()
    await clock.turn(SILENT_SECONDS)
    assert not second.heard()
    await clock.turn(1)
    assert second.heard()
    work.cancel()
    await asyncio.wait([work])


async def test_rules_that_two_bring_at_once_are_built_once_and_leave_python_as_it_was(store: RuleStore) -> None:
    said = signed(written("one"), 1)
    interval, taken = sys.getswitchinterval(), []
    store.on_change.append(lambda: taken.append(store.current))
    await asyncio.gather(store.take(said, written("one")), store.take(said, written("one")))
    assert store.active.revision == "one"
    assert len({id(snapshot) for snapshot in taken}) == 1
    assert sys.getswitchinterval() == interval


async def test_what_is_older_once_it_is_built_gives_way_to_what_came_meanwhile(store: RuleStore) -> None:
    new, old = written("two"), written("one")
    await asyncio.gather(store.take(signed(new, 2), new), store.take(signed(old, 1), old))
    assert (store.active.revision, store.pointer.seq) == ("two", 2)


async def test_a_file_whose_earlier_source_spoke_while_it_was_built_is_not_run(store: RuleStore) -> None:
    await store.take(signed(written("controller's"), 1), written("controller's"))
    await store.take_local(written("file's"), lambda: False)
    assert store.active.revision == "controller's"


def signed(data: bytes, seq: int) -> SignedPointer:
    made = Pointer(epoch=1, seq=seq, digest=digest_of(data), size=len(data), revision="r")
    return SignedPointer(pointer=msgspec.json.encode(made).decode())
