"""What a sidecar of a scope gets over the wire: its part of the rules and of the money, and nothing of others."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from controller.app import Running, running
from controller.parts import WatchTimes
from controller.settings import ServeSettings
from schemas.bundle import Pointer, SignedPointer, decode_bundle, digest_of
from schemas.cohort import pointer_for
from schemas.record import CallRecord, UsageReceipt
from schemas.spend import FleetSpend
from schemas.status import Activation, Fleet, SidecarStatus
from tests.fakes.rules_repo import RULES, USE_CASE, RulesRepo
from tests.fakes.sse_client import events

MakeRecord = Callable[..., CallRecord]
SUPPORT, CODING, NOTHING = "support-token-0123", "coding-token-01234", "nothing-token-0123"
CODING_USE_CASE = USE_CASE.replace("support", "coding")
DEADLINE_SECONDS = 10.0


def row(token: str, *use_cases: str) -> str:
    key = f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"
    return f"  - {{name: t, key: '{key}', use_cases: [{', '.join(use_cases)}]}}\n"


@pytest.fixture
def access(tmp_path: Path) -> Path:
    path = tmp_path / "access.yaml"
    path.write_text("tokens:\n" + row(SUPPORT, "support") + row(CODING, "cod*") + row(NOTHING, "legal"))
    return path


@pytest.fixture
def watch_times() -> WatchTimes:
    return WatchTimes(ping=0.05)


@pytest.fixture
async def controller(tmp_path: Path, repo: RulesRepo, access: Path, watch_times: WatchTimes) -> AsyncIterator[Running]:
    settings = ServeSettings(repo=str(repo.path), state=tmp_path / "state", listen_port=0, access=access)
    async with running(settings, watch_times=watch_times) as controller:
        repo.commit({**RULES, "use-cases/coding/use-case.yaml": CODING_USE_CASE})
        await controller.parts.publisher.newer_than("")
        yield controller


@asynccontextmanager
async def asking(controller: Running, token: str) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(controller.url, headers=headers, timeout=timeout) as session:
        yield session


async def signed_for(controller: Running, token: str, *asked: str) -> SignedPointer:
    params = [("use_case", name) for name in asked]
    async with asking(controller, token) as client, client.get("/v1/bundle", params=params) as got:
        assert got.status == 200, await got.text()
        return msgspec.json.decode(await got.read(), type=SignedPointer)


def pointer_of(signed: SignedPointer) -> Pointer:
    return msgspec.json.decode(signed.pointer, type=Pointer)


def use_cases_of(signed: SignedPointer) -> list[str]:
    assert signed.bundle is not None
    return sorted(decode_bundle(signed.bundle.encode()).use_cases)


async def test_each_token_gets_its_own_use_cases_signed_like_the_whole(controller: Running, tmp_path: Path) -> None:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode((tmp_path / "state" / "signing.pub").read_bytes()))
    whole = await signed_for(controller, controller.parts.tokens.sidecar)
    for token, names in [(SUPPORT, ["support"]), (CODING, ["coding"]), (NOTHING, [])]:
        signed = await signed_for(controller, token)
        key.verify(base64.b64decode(signed.signature), signed.pointer.encode())
        assert use_cases_of(signed) == names
        assert signed.bundle is not None
        assert pointer_of(signed).digest == digest_of(signed.bundle.encode())
        assert pointer_of(signed).seq == pointer_of(whole).seq
    assert use_cases_of(whole) == ["coding", "support"]


async def test_whoever_sees_everything_may_ask_for_less_and_gets_the_same_bytes(controller: Running) -> None:
    narrow = await signed_for(controller, controller.parts.tokens.sidecar, "support")
    assert narrow == await signed_for(controller, SUPPORT)
    assert narrow == await signed_for(controller, SUPPORT, "support")


@pytest.mark.parametrize("path", ["/v1/watch", "/v1/bundle", "/v1/spend", "/v1/bundle/sha256:0"])
async def test_nobody_may_ask_for_more(controller: Running, path: str) -> None:
    async with asking(controller, SUPPORT) as client, client.get(path, params={"use_case": "coding"}) as got:
        body = await got.json()
    assert (got.status, body["error"]["code"]) == (403, "out_of_scope")
    assert "support" not in body["error"]["message"]


async def test_a_digest_opens_no_other_part(controller: Running) -> None:
    own = pointer_of(await signed_for(controller, SUPPORT)).digest
    other = pointer_of(await signed_for(controller, CODING)).digest
    whole = pointer_of(await signed_for(controller, controller.parts.tokens.sidecar)).digest
    async with asking(controller, SUPPORT) as client:
        for digest, status in [(own, 200), (other, 404), (whole, 404)]:
            async with client.get(f"/v1/bundle/{digest}") as got:
                assert got.status == status
                if status == 200:
                    assert digest_of(await got.read()) == own


async def test_a_tag_of_one_scope_is_none_of_another(controller: Running) -> None:
    async with asking(controller, controller.parts.tokens.sidecar) as client:
        async with client.get("/v1/bundle", params={"use_case": "support"}) as got:
            known = {"If-None-Match": got.headers["ETag"]}
        for use_case, status in [("support", 304), ("coding", 200)]:
            async with client.get("/v1/bundle", params={"use_case": use_case}, headers=known) as got:
                assert got.status == status


async def test_a_watcher_of_a_scope_hears_of_every_revision(controller: Running, repo: RulesRepo) -> None:
    async with asking(controller, SUPPORT) as client, client.get("/v1/watch", params={"id": "s1"}) as got:
        async with asyncio.timeout(DEADLINE_SECONDS):
            stream = (event async for event in events(got) if event.name == "pointer")
            first = (await anext(stream)).signed
            commit = await asyncio.to_thread(repo.commit_variant, 3)
            second = (await anext(stream)).signed
    assert use_cases_of(first) == use_cases_of(second) == ["support"]
    assert pointer_of(second).revision == commit
    assert pointer_of(second).seq == pointer_of(first).seq + 1


@pytest.mark.parametrize("left", [row(CODING, "coding"), row(SUPPORT, "support", "coding")])
async def test_a_watch_ends_when_its_token_sees_something_else(controller: Running, access: Path, left: str) -> None:
    async with asking(controller, SUPPORT) as client, client.get("/v1/watch") as got:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await anext(events(got))
            await asyncio.to_thread(access.write_text, "tokens:\n" + left)
            while await got.content.readany():
                continue
        async with client.get("/v1/bundle") as again:
            assert again.status == (200 if "support" in left else 401)


async def test_a_file_that_became_wrong_leaves_everybody_what_they_had(controller: Running, access: Path) -> None:
    await asyncio.to_thread(access.write_text, "tokens: [{name: x}]")
    assert use_cases_of(await signed_for(controller, SUPPORT)) == ["support"]


async def test_a_sidecar_sees_its_own_money_and_how_many_share_the_limits(
    controller: Running, make_record: MakeRecord
) -> None:
    records = [make_record(1), make_record(2, use_case="coding", caller="coder")]
    batch = msgspec.json.encode({"sidecar": "s1", "records": records})
    async with asking(controller, CODING) as client:
        async with client.post("/v1/usage", data=batch) as got:
            receipt = msgspec.json.decode(await got.read(), type=UsageReceipt)
        for sidecar, token in [("s1", CODING), ("s2", SUPPORT), ("s3", controller.parts.tokens.sidecar)]:
            async with asking(controller, token) as beating:
                status = SidecarStatus(id=sidecar, version="1", state="ACTIVE")
                async with beating.post("/v1/status", data=msgspec.json.encode(status)) as got:
                    assert got.status == 204
        async with client.get("/v1/spend") as got:
            spend = msgspec.json.decode(await got.read(), type=FleetSpend)
    assert receipt.booked == 2
    assert receipt.spend is not None
    for seen in (receipt.spend, spend):
        assert "support" not in seen.use_cases
        assert seen.callers == {}
    assert spend.live_sidecars == 3


async def test_who_sees_some_use_cases_alone_reads_no_sums_of_all_and_everything_is_a_reader(
    controller: Running, access: Path
) -> None:
    async with asking(controller, SUPPORT) as client, client.get("/v1/usage") as got:
        assert (got.status, (await got.json())["error"]["code"]) == (403, "out_of_scope")
    await asyncio.to_thread(access.write_text, "tokens:\n" + row(SUPPORT, '"*"'))
    for token in (SUPPORT, controller.parts.tokens.admin, controller.parts.tokens.sidecar):
        async with asking(controller, token) as client, client.get("/v1/usage") as got:
            assert got.status == 200


async def test_the_fleet_is_told_by_revisions_whatever_part_each_sidecar_runs(controller: Running) -> None:
    pointer = pointer_for(pointer_of(await signed_for(controller, SUPPORT)), "s1")
    active = Activation(digest=pointer.digest, revision=pointer.revision)
    status = SidecarStatus(id="s1", version="1", state="ACTIVE", tried=active, fetched=active, active=active)
    beat = msgspec.json.encode(status)
    async with asking(controller, SUPPORT) as client, client.post("/v1/status", data=beat) as got:
        assert got.status == 204
    async with asking(controller, controller.parts.tokens.sidecar) as client, client.get("/v1/fleet") as got:
        fleet = msgspec.json.decode(await got.read(), type=Fleet)
    whole = controller.parts.publisher.pointer
    assert whole is not None
    assert [(member.id, member.state, member.bundle) for member in fleet.sidecars] == [("s1", "SYNCED", whole.digest)]
