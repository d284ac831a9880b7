import asyncio

import aiohttp
import msgspec
import pytest

from controller.app import Running
from schemas.status import Activation, SidecarStatus
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sse_client import events


async def fleet(client: aiohttp.ClientSession) -> list[dict[str, str]]:
    async with client.get("/v1/fleet") as got:
        sidecars: list[dict[str, str]] = (await got.json())["sidecars"]
        return sidecars


async def test_a_sidecar_is_seen_from_its_watch_on_and_followed_through_its_statuses(
    client: aiohttp.ClientSession, controller: Running, repo: RulesRepo, loaded: str
) -> None:
    assert await fleet(client) == []
    async with client.get("/v1/watch", params={"id": "s1"}) as got:
        pointer = (await anext(events(got))).pointer
        assert [(member["id"], member["state"]) for member in await fleet(client)] == [("s1", "BEHIND")]

    active = Activation(digest=pointer.digest, revision=pointer.revision)
    status = SidecarStatus(id="s1", version="0.1.0", state="ACTIVE", use_case="support", active=active)
    async with client.post("/v1/status", data=msgspec.json.encode(status)) as got:
        assert (got.status, await got.read()) == (204, b"")
    (member,) = await fleet(client)
    assert set(member) == {"id", "use_case", "state", "bundle", "revision", "last_seen", "error"}
    assert (member["state"], member["bundle"], member["revision"]) == ("SYNCED", pointer.digest, loaded)

    current = controller.parts.publisher.current
    assert current is not None
    await asyncio.to_thread(repo.commit_variant, 1)
    await controller.parts.publisher.newer_than(current.event_id)
    assert [member["state"] for member in await fleet(client)] == ["BEHIND"]
    refusal = msgspec.structs.replace(status, state="REJECTED", error="why " * 1000)
    async with client.post("/v1/status", data=msgspec.json.encode(refusal)) as got:
        assert got.status == 204
    (member,) = await fleet(client)
    assert (member["state"], len(member["error"])) == ("REJECTED", 1024)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"id": "", "version": "1", "state": "ACTIVE"}', b'{"id": "a", "version": "1", "state": "FINE"}'],
)
async def test_what_is_no_status_is_refused(client: aiohttp.ClientSession, body: bytes) -> None:
    async with client.post("/v1/status", data=body) as got:
        assert (got.status, (await got.json())["error"]["code"]) == (400, "malformed")
    assert await fleet(client) == []


async def test_metrics_speak_of_revisions_sidecars_and_records(client: aiohttp.ClientSession, loaded: str) -> None:
    status = SidecarStatus(id="s1", version="0.1.0", state="STARTING")
    async with client.post("/v1/status", data=msgspec.json.encode(status)) as got:
        assert got.status == 204
    async with client.get("/metrics") as got:
        text = await got.text()
        assert got.headers["Content-Type"].startswith("text/plain")
    for line in (
        'pointsman_revisions_total{outcome="accepted"} 1.0',
        'pointsman_sidecars{state="BEHIND"} 1.0',
        "pointsman_bundle_seq 1.0",
        "pointsman_records_booked_total 0.0",
    ):
        assert line in text
