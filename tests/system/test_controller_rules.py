"""The controller as a process: from a commit to a watcher, over broken commits, restarts and bursts."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.fakes.controller_process import ControllerProcess
from tests.fakes.rules_repo import BROKEN, RULES, RulesRepo, write_files
from tests.fakes.sse_client import events

DEADLINE_SECONDS = 20.0


@pytest.fixture
def repo(tmp_path: Path) -> RulesRepo:
    return RulesRepo(tmp_path / "rules")


@pytest.fixture
async def controller(tmp_path: Path, repo: RulesRepo) -> AsyncIterator[ControllerProcess]:
    process = ControllerProcess(repo.path, tmp_path / "state")
    yield process
    await process.close()


def sidecar(controller: ControllerProcess) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        controller.url,
        headers={"Authorization": f"Bearer {controller.sidecar_token}"},
        timeout=aiohttp.ClientTimeout(total=DEADLINE_SECONDS),
    )


async def test_a_commit_reaches_a_watcher_within_a_second_under_a_signature_that_verifies(
    tmp_path: Path, controller: ControllerProcess, repo: RulesRepo
) -> None:
    first = repo.commit()
    await controller.start()
    assert f"revision={first}" in await controller.said("revision.accepted")
    async with sidecar(controller) as session, session.get("/v1/watch", params={"id": "s1"}) as got:
        stream = events(got)
        assert (await anext(stream)).pointer.revision == first
        second = await asyncio.to_thread(repo.commit_variant, 1)
        committed = time.monotonic()
        event = await anext(stream)
        assert time.monotonic() - committed < 1.0
        assert event.pointer.revision == second
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode((tmp_path / "state" / "signing.pub").read_text()))
        key.verify(base64.b64decode(event.signed.signature), event.signed.pointer.encode())
        # SIGTERM ends the stream cleanly, and the program soon.
        stopping = time.monotonic()
        status = asyncio.create_task(controller.stop())
        assert [event async for event in stream] == []
        assert await status == 0
        assert time.monotonic() - stopping < 2.0


async def test_a_broken_commit_keeps_the_last_good_one_and_is_named_with_file_line_and_column(
    controller: ControllerProcess, repo: RulesRepo
) -> None:
    good = repo.commit()
    await controller.start()
    await controller.said(f"revision.accepted revision={good}")
    broken = repo.commit(BROKEN)
    await controller.said(f"revision.refused revision={broken}")
    assert any(line.startswith("use-cases/support/use-case.yaml:5:10 ") for line in controller.errors)
    async with sidecar(controller) as session:
        async with session.get("/v1/problems") as got:
            report = await got.json()
        assert (report["revision"], report["active_revision"]) == (broken, good)
        errors = [problem for problem in report["problems"] if problem["severity"] == "error"]
        assert [(e["file"], e["line"], e["column"]) for e in errors] == [("use-cases/support/use-case.yaml", 5, 10)]
        async with session.get("/v1/bundle") as got:
            assert good in (await got.json())["pointer"]


async def test_a_restart_serves_the_last_good_bundle_at_once_and_seq_keeps_growing(
    controller: ControllerProcess, repo: RulesRepo
) -> None:
    repo.commit()
    await controller.start()
    first = await pointer_now(controller)
    await controller.stop()

    repo.commit(BROKEN)
    await controller.start()
    assert await pointer_now(controller) == first
    await controller.said("revision.refused")
    await controller.kill()

    later = repo.commit()
    await controller.start()
    await controller.said(f"revision.accepted revision={later}")
    epoch, seq, revision = await pointer_now(controller)
    assert (epoch, seq, revision) == (first[0], first[1] + 1, later)


async def pointer_now(controller: ControllerProcess) -> tuple[int, int, str]:
    async with sidecar(controller) as session, session.get("/v1/watch") as got:
        if got.status == 503:
            await controller.said("revision.accepted")
            return await pointer_now(controller)
        pointer = (await anext(events(got))).pointer
        return pointer.epoch, pointer.seq, pointer.revision


async def test_of_fifty_fast_commits_the_last_one_wins(controller: ControllerProcess, repo: RulesRepo) -> None:
    repo.commit()
    await controller.start()
    await controller.said("revision.accepted")
    async with sidecar(controller) as session, session.get("/v1/watch") as got, asyncio.timeout(DEADLINE_SECONDS):
        commits = asyncio.create_task(asyncio.to_thread(lambda: [repo.commit_variant(n) for n in range(50)][-1]))
        seen: list[tuple[int, str]] = []
        async for event in events(got):
            if event.name == "pointer":
                seen.append((event.pointer.seq, event.pointer.revision))
            if commits.done() and seen[-1][1] == commits.result():
                break
    assert [seq for seq, _ in seen] == sorted({seq for seq, _ in seen})


async def test_a_plain_folder_is_followed_as_it_is_saved(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    write_files(folder, RULES)
    controller = ControllerProcess(folder, tmp_path / "state")
    try:
        await controller.start()
        assert "revision=folder:" in await controller.said("revision.accepted")
        write_files(folder, BROKEN)
        await controller.said("use-cases/support/use-case.yaml:5:10 ")
        await controller.said("revision.refused revision=folder:")
        stopping = time.monotonic()
        assert await controller.stop() == 0
        assert time.monotonic() - stopping < 2.0
    finally:
        await controller.close()


async def test_a_controller_without_rules_yet_waits_and_heals_alone(
    controller: ControllerProcess, repo: RulesRepo
) -> None:
    await controller.start()
    await controller.said("source.unavailable")
    async with sidecar(controller) as session, session.get("/readyz") as got:
        assert got.status == 503
    commit = repo.commit()
    await controller.said(f"revision.accepted revision={commit}")
    assert (await pointer_now(controller))[2] == commit


async def test_nothing_that_is_printed_holds_a_secret(
    tmp_path: Path, controller: ControllerProcess, repo: RulesRepo
) -> None:
    repo.commit()
    await controller.start()
    await pointer_now(controller)
    async with sidecar(controller) as session:
        pages = [
            await (await session.get(path)).text() for path in ("/metrics", "/v1/problems", "/v1/fleet", "/readyz")
        ]
    await controller.stop()
    shown = "\n".join([*controller.lines, *controller.errors, *pages])
    for name in ("sidecar.token", "admin.token", "signing.key"):
        assert (tmp_path / "state" / name).read_text().strip() not in shown
