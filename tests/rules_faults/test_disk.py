"""A disk that takes no more: rules run from memory and say so, and are kept as soon as there is room."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from sidecar.rules.cache import LastGood
from tests.fakes.processes import Child, eventually
from tests.rules_faults.conftest import SETTLED_SECONDS, System


@contextmanager
def full_disk(child: Child) -> Iterator[None]:
    """No file that the process writes, or a process of its own, may grow; as a disk without room, at once and for all.

    `RLIMIT_FSIZE` (getrlimit(2)): a write fails with EFBIG where a disk would say ENOSPC.
    """
    pid = child.popen.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_a_sidecar_runs_what_it_cannot_keep_says_so_and_keeps_it_when_it_can(system: System) -> None:
    with full_disk(system.sidecar.child):
        system.wait_for(system.primary("red"))
        revision = system.primary("green")
        system.wait_for(revision)
        eventually(lambda: "not persisted" in system.sidecar.status().error)
        assert system.answers() == "green"
        assert kept_revision(system) != revision
        # The controller comes back and names the same rules again: they are no better kept for that.
        system.controller.kill()
        system.controller.start()
        eventually(
            lambda: system.sidecar.status().id in {row["id"] for row in system.controller.fleet()}, SETTLED_SECONDS
        )
        assert "not persisted" in system.sidecar.status().error
    eventually(lambda: system.sidecar.status().error == "", SETTLED_SECONDS)
    assert kept_revision(system) == revision
    system.controller.kill()
    system.sidecar.kill()
    system.sidecar.start()
    assert system.sidecar.status().active.revision == revision
    assert system.answers() == "green"
    system.controller.start()


def test_a_controller_leaves_the_fleet_on_what_runs_until_it_can_write(system: System) -> None:
    system.wait_for(system.primary("red"))
    runs = system.sidecar.status().active.revision
    with full_disk(system.controller.child):
        revision = system.primary("green")
        assert system.wait_until_unavailable()
        assert system.report()["active_revision"] == runs
        assert system.answers() == "red"
    system.wait_for(revision)
    assert system.answers() == "green"


def kept_revision(system: System) -> str:
    """Of the rules that a start would run."""
    (newest, *_) = LastGood(system.sidecar.state / "rules").load()
    return str(msgspec.json.decode(newest.pointer)["revision"])
