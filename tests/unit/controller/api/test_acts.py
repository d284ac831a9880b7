import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from controller.app import Running, running
from controller.settings import ServeSettings
from tests.fakes.rules_repo import MODEL, USE_CASE, RulesRepo

DEADLINE_SECONDS = 10.0


@pytest.fixture
async def admin(controller: Running) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {controller.parts.tokens.admin}"}
    async with aiohttp.ClientSession(controller.url, headers=headers) as session:
        yield session


async def act(admin: aiohttp.ClientSession, name: str, **body: object) -> dict[str, Any]:
    async with admin.post(f"/v1/{name}", json={"reason": "because"} | body) as got:
        answer: dict[str, Any] = await got.json()
        assert got.status == 200, answer
        return answer


async def refused(admin: aiohttp.ClientSession, name: str, body: Mapping[str, object]) -> tuple[int, str]:
    async with admin.post(f"/v1/{name}", json=body) as got:
        return got.status, (await got.json())["error"]["message"]


async def until_head(controller: Running, revision: str) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (head := controller.parts.publisher.channel.head) is None or head.revision != revision:
            await asyncio.to_thread(str)


def runs(controller: Running) -> tuple[int, str]:
    pointer = controller.parts.publisher.pointer
    assert pointer is not None
    return pointer.seq, pointer.revision


@pytest.fixture
async def second(controller: Running, repo: RulesRepo, loaded: str) -> str:
    """A revision that runs, after `loaded`."""
    commit = await asyncio.to_thread(repo.commit_variant, 1)
    await until_head(controller, commit)
    return commit


async def test_a_pin_holds_against_the_repository_until_it_is_lifted(
    controller: Running, admin: aiohttp.ClientSession, repo: RulesRepo, loaded: str, second: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO")
    view = await act(admin, "pin", bundle=loaded, ttl_seconds=3600)
    assert (view["pin"]["revision"], view["pin"]["reason"], view["pin"]["is_overdue"]) == (loaded, "because", False)
    assert runs(controller) == (3, loaded)
    assert "act.pin reason=because seq=3" in caplog.text

    third = await asyncio.to_thread(repo.commit_variant, 2)
    await until_head(controller, third)
    assert runs(controller) == (3, loaded)
    assert (await refused(admin, "rollback", {"reason": "r"}))[0] == 409

    await act(admin, "unpin")
    async with asyncio.timeout(DEADLINE_SECONDS):
        while runs(controller)[1] != third:
            await asyncio.to_thread(str)
    assert runs(controller)[0] > 3


async def test_a_rollback_is_a_new_seq_and_its_revision_does_not_come_back(tmp_path: Path, repo: RulesRepo) -> None:
    settings = ServeSettings(repo=str(repo.path), state=tmp_path / "state", listen_port=0)
    first = repo.commit()
    async with running(settings) as controller:
        await until_head(controller, first)
        bad = await asyncio.to_thread(repo.commit_variant, 1)
        await until_head(controller, bad)
        digest = controller.parts.publisher.channel.past[0].digest
        headers = {"Authorization": f"Bearer {controller.parts.tokens.admin}"}
        async with aiohttp.ClientSession(controller.url, headers=headers) as admin:
            view = await act(admin, "rollback", reason="half of the calls fail")
        assert (view["stable"]["digest"], view["seq"]) == (digest, 3)
        assert [(one["revision"], one["reason"]) for one in view["rolled_back"]] == [(bad, "half of the calls fail")]

    async with running(settings) as controller:
        await until_head(controller, bad)
        assert runs(controller) == (3, first)
        mended = await asyncio.to_thread(repo.commit_variant, 2)
        await until_head(controller, mended)
        assert runs(controller) == (4, mended)


async def test_while_suspended_no_revision_is_taken_up_and_afterwards_the_newest_is(
    controller: Running, admin: aiohttp.ClientSession, repo: RulesRepo, loaded: str
) -> None:
    assert (await act(admin, "suspend", reason="an outage elsewhere"))["suspended"] == "an outage elsewhere"
    newest = await asyncio.to_thread(repo.commit_variant, 1)
    assert await controller.parts.reconciler.look()
    assert runs(controller) == (1, loaded)
    assert (await act(admin, "resume"))["suspended"] is None
    await until_head(controller, newest)
    assert runs(controller) == (2, newest)


async def test_status_shows_all_of_it_and_a_short_name_is_enough(
    controller: Running, admin: aiohttp.ClientSession, loaded: str, second: str
) -> None:
    await act(admin, "pin", bundle=loaded[:8])
    async with admin.get("/v1/status") as got:
        shown = (await got.json())["rollout"]
    assert (shown["pin"]["revision"], shown["stable"]["revision"], shown["head"]["revision"]) == (
        loaded, second, second,
    )  # fmt: skip
    assert {named["revision"] for named in shown["kept"]} == {loaded, second}


@pytest.mark.parametrize(
    ("name", "body", "status", "says"),
    [
        ("pin", {"reason": "r", "bundle": "0123456789"}, 409, "kept revisions: "),
        ("pin", {"reason": "r"}, 400, "bundle must name"),
        ("pin", {"reason": "r", "bundle": "abc", "ttl_seconds": -1}, 400, "ttl_seconds"),
        ("pin", {"bundle": "abc"}, 400, "reason must say why"),
        ("rollback", {"reason": " "}, 400, "reason must say why"),
        ("rollback", {"reason": "r", "to": "x"}, 400, "unknown field `to`"),
        ("rollback", {"reason": "r"}, 409, "nothing ran before"),
        ("unpin", {"reason": "r"}, 409, "no pin is set"),
        ("promote", {"reason": "r"}, 409, "no bundle is on trial"),
    ],
)
async def test_what_is_not_possible_says_what_would_be(
    admin: aiohttp.ClientSession, loaded: str, name: str, body: Mapping[str, object], status: int, says: str
) -> None:
    found, message = await refused(admin, name, body)
    assert found == status
    assert says in message


async def test_an_act_needs_the_admin_s_token(client: aiohttp.ClientSession, loaded: str) -> None:
    assert (await refused(client, "rollback", {"reason": "r"}))[0] == 401


CANARY = {
    "models/newer.yaml": MODEL.replace("sonnet", "newer"),
    "use-cases/support/use-case.yaml": USE_CASE + "canary: {model: newer, percent: 5, signal: outcome}\n",
}


async def test_a_canary_is_seen_stopped_and_begun_again_and_told_to_sidecars_that_know_the_word(
    controller: Running, admin: aiohttp.ClientSession, client: aiohttp.ClientSession, repo: RulesRepo, loaded: str
) -> None:
    await until_head(controller, await asyncio.to_thread(repo.commit, CANARY))
    await controller.parts.canaries.look()

    async def told(**query: str) -> dict[str, Any]:
        async with client.get("/v1/bundle", params=query) as got:
            pointer: dict[str, Any] = json.loads((await got.json())["pointer"])
            assert got.headers["ETag"]
            return pointer

    async def view() -> dict[str, Any]:
        async with client.get("/v1/status") as got:
            (canary,) = (await got.json())["rollout"]["canaries"]
            return dict(canary)

    assert (await view())["state"] == "running"
    assert (await told(knows="steering"))["steering"]["support"]["canary_percent"] == "5"
    old = await told()
    assert "steering" not in old
    assert (old["seq"], old["digest"]) == (runs(controller)[0], (await told(knows="steering"))["digest"])

    (stopped,) = (await act(admin, "canary/stop", use_case="support"))["canaries"]
    assert (stopped["state"], stopped["percent"], stopped["waits_for"]) == ("stopped", 0, "")
    assert [move["state"] for move in stopped["moves"]] == ["stopped", "running"]
    assert (await told(knows="steering"))["steering"]["support"] == {
        "model": "newer", "canary_percent": "0", "reason": "canary newer stopped (step 2): because",
    }  # fmt: skip
    assert 'pointsman_canary_ratio{model="newer",state="stopped",use_case="support"} 0.0' in (
        controller.parts.metrics.text().decode()
    )
    assert (await refused(admin, "canary/stop", {"reason": "r", "use_case": "support"}))[0] == 409
    status, message = await refused(admin, "canary/resume", {"reason": "r", "use_case": "suport"})
    assert (status, message.endswith("those that have: support")) == (409, True)
    await act(admin, "canary/resume", use_case="support")
    assert (await view())["state"] == "running"
