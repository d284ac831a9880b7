"""A repository that is away, frozen, damaged, locked, cut short or rewritten: what runs goes on, and the rest heals."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.fakes import wire
from tests.fakes.controller import ControllerProcess
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RULES, RulesRepo
from tests.rules_faults.conftest import System

HELD_UP_SECONDS = 2.0
"""An answer of the controller while its repository is stuck: as soon as ever, on a busy machine too."""
SECRET = "s3cret-word"


@pytest.fixture
def runs(system: System) -> str:
    """What the sidecar runs before something goes wrong."""
    system.git.repo.git("reset", "--quiet", "--hard", system.sidecar.status().active.revision)
    system.primary("red")
    system.wait_for(system.git.push())
    return system.sidecar.status().active.revision


def goes_on(system: System, revision: str) -> None:
    assert system.sidecar.status().active.revision == revision
    assert system.sidecar.status().error == ""
    assert system.answers() == "red"


def heals(system: System) -> None:
    system.wait_for(system.primary("green"))
    assert system.answers() == "green"
    assert system.report()["error"] == ""


def test_a_server_that_is_away_leaves_what_runs_and_pins_hold_meanwhile(system: System, runs: str) -> None:
    older = system.rollout()["kept"][-1]["revision"]
    assert older != runs
    system.git.kill()
    try:
        assert "Connection refused" in system.wait_until_unavailable()
        goes_on(system, runs)
        system.act("pin", bundle=older)
        system.wait_for(older)
        system.act("unpin")
        system.wait_for(runs)
        goes_on(system, runs)
    finally:
        system.git.start()
    heals(system)


def test_a_server_that_takes_connections_and_says_nothing_holds_up_nothing_else(system: System, runs: str) -> None:
    system.git.freeze()
    try:
        asked = system.tried_at()
        # It may have been at it already, and then waits as long as git may take.
        eventually(lambda: system.tried_at() > asked or system.is_fetching(), 30)
        began = time.monotonic()
        assert system.report()["active_revision"] == runs
        goes_on(system, runs)
        assert time.monotonic() - began < HELD_UP_SECONDS
    finally:
        system.git.thaw()
    heals(system)


def test_a_branch_that_is_deleted_leaves_what_runs(system: System, runs: str) -> None:
    system.git.repo.git("--git-dir", str(system.git.bare), "update-ref", "-d", "refs/heads/main")
    assert "main" in system.wait_until_unavailable()
    goes_on(system, runs)
    heals(system)


def test_a_history_that_is_rewritten_is_followed_and_said(system: System, runs: str) -> None:
    seq = system.rollout()["seq"]
    repo = system.git.repo
    repo.git("reset", "--quiet", "--soft", repo.git("commit-tree", "HEAD^{tree}", "-m", "a first commit again"))
    rewritten = system.primary("green")
    report = system.wait_for_report(rewritten)
    (said,) = [problem for problem in report["problems"] if problem["code"] == "history-rewritten"]
    assert (said["severity"], runs[:12] in said["message"]) == ("warning", True)
    system.wait_for(rewritten)
    assert system.sidecar.status().seq == seq + 1, "the sequence of pointers grows, whatever becomes of the commits"
    after = system.wait_for_report(system.primary("red"))
    assert "history-rewritten" not in {problem["code"] for problem in after["problems"]}


def test_locks_of_a_controller_that_was_killed_hold_up_nobody(system: System, runs: str) -> None:
    system.controller.kill()
    for lock in ("HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock", "refs/pointsman/head.lock"):
        (system.mirror / lock).touch()
    system.controller.start()
    goes_on(system, runs)
    heals(system)


def empties(mirror: Path) -> None:
    for path in [path for path in (mirror / "objects").rglob("*") if path.is_file()]:
        path.chmod(0o600)
        path.write_bytes(b"")


def becomes_a_file(mirror: Path) -> None:
    shutil.rmtree(mirror)
    mirror.write_text("a file")


@pytest.mark.parametrize(
    "damage", [empties, lambda mirror: shutil.rmtree(mirror / "refs"), shutil.rmtree, becomes_a_file],
    ids=["empty objects", "no refs", "nothing", "a file"],
)  # fmt: skip
def test_a_damaged_mirror_is_made_anew(system: System, runs: str, damage: Callable[[Path], None]) -> None:
    damage(system.mirror)
    goes_on(system, runs)
    heals(system)


def test_another_controller_makes_the_same_bytes_of_the_same_commit(system: System, runs: str, tmp_path: Path) -> None:
    with controller_of(system.git.url, tmp_path) as other:
        other.child.wait_for(f"revision.accepted revision={runs}")
        assert digest_at(other) == digest_at(system.controller) == system.sidecar.status().active.digest


def digest_at(controller: ControllerProcess) -> str:
    rollout = wire.get(f"{controller.url}/v1/status").json["rollout"]
    return str(rollout["stable"]["digest"])


def test_a_clone_that_is_cut_short_and_locked_by_dead_processes_is_read_and_grows(tmp_path: Path) -> None:
    repo = RulesRepo(tmp_path / "rules")
    repo.commit(RULES)
    first = repo.commit_variant(1)
    clone = RulesRepo(tmp_path / "clone")
    update = ["fetch", "--quiet", f"file://{repo.path}", "+main:main", "--update-head-ok"]
    clone.git(*update, "--depth", "1")
    locks = [clone.path / ".git" / name for name in ("index.lock", "HEAD.lock", "refs/heads/main.lock")]
    for lock in locks:
        lock.touch()
    with controller_of(str(clone.path), tmp_path) as controller:
        controller.child.wait_for(f"revision.accepted revision={first}")
        for lock in locks:
            lock.unlink()
        later = repo.commit_variant(2)
        clone.git(*update, "--depth", "2")
        controller.child.wait_for(f"revision.accepted revision={later}")
        assert "history-rewritten" not in {problem["code"] for problem in controller.problems()["problems"]}


async def test_a_server_that_refuses_the_credentials_is_said_plainly_and_never_with_them(tmp_path: Path) -> None:
    async with refusing_server() as port:
        repo = f"http://user:{SECRET}@127.0.0.1:{port}/rules.git"
        with controller_of(repo, tmp_path, "--poll", "100ms") as controller:
            said = await asyncio.to_thread(eventually, lambda: controller.problems()["error"] or None, 20)
            assert "Authentication failed" in said
            assert wire.get(f"{controller.url}/readyz").status == 503
            await asyncio.to_thread(controller.stop)
            assert SECRET not in said + controller.child.stderr()
            assert not [path for path in controller.state.rglob("*") if path.is_file() and holds(path, SECRET)]


@asynccontextmanager
async def refusing_server() -> AsyncIterator[int]:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b'HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm="rules"\r\ncontent-length: 0\r\n'
            b"connection: close\r\n\r\n"
        )
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextmanager
def controller_of(repo: str, folder: Path, *options: str) -> Iterator[ControllerProcess]:
    controller = ControllerProcess(repo, folder / "controller", options)
    try:
        yield controller
    finally:
        controller.stop()


def holds(path: Path, text: str) -> bool:
    return text.encode() in path.read_bytes()
