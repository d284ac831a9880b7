import asyncio
import socket
from collections.abc import Callable

import aiohttp
import pytest

from controller.app import Running
from controller.parts import WatchTimes
from controller.publish import INLINE_BYTES
from schemas.bundle import Bundle, decode_bundle, digest_of
from tests.fakes.rules_repo import BROKEN, USE_CASE, RulesRepo
from tests.fakes.sse_client import events

DEADLINE_SECONDS = 10.0

MakeBundle = Callable[..., Bundle]


def is_cut(connection: socket.socket) -> bool:
    """Whether, after what is buffered, the connection ends without the stream's own end (an empty chunk)."""
    connection.settimeout(DEADLINE_SECONDS)
    tail = b""
    try:
        while piece := connection.recv(65536):
            tail = (tail + piece)[-5:]
    except ConnectionResetError:
        return True
    return tail != b"0\r\n\r\n"


@pytest.mark.parametrize("path", ["/v1/watch", "/v1/bundle", "/readyz"])
async def test_before_anything_is_loaded_503_says_where_to_look(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as got:
        assert (got.status, got.headers["Retry-After"]) == (503, "1")
        error = (await got.json())["error"]
    assert error["code"] == "nothing_loaded"
    assert "/v1/problems" in error["message"]


async def test_a_watcher_gets_the_current_pointer_and_every_new_one(
    client: aiohttp.ClientSession, repo: RulesRepo, loaded: str
) -> None:
    async with client.get("/v1/watch", params={"id": "s1"}) as got, asyncio.timeout(DEADLINE_SECONDS):
        assert got.content_type == "text/event-stream"
        stream = events(got)
        first = await anext(stream)
        assert (first.name, first.pointer.revision) == ("pointer", loaded)
        assert first.id == f"{first.pointer.epoch}.{first.pointer.seq}"
        assert first.signed.bundle is not None
        assert digest_of(first.signed.bundle.encode()) == first.pointer.digest
        second_commit = await asyncio.to_thread(repo.commit_variant, 1)
        second = await anext(stream)
        assert (second.pointer.revision, second.pointer.seq) == (second_commit, first.pointer.seq + 1)


async def test_a_large_bundle_is_named_on_the_stream_and_fetched_by_its_digest(
    client: aiohttp.ClientSession, repo: RulesRepo, loaded: str
) -> None:
    aliases = ", ".join(f"alias-{number:05}" for number in range(INLINE_BYTES // 10))
    large = f"{USE_CASE}aliases: [{aliases}]\n"
    async with client.get("/v1/watch") as got, asyncio.timeout(DEADLINE_SECONDS):
        stream = events(got)
        await anext(stream)
        await asyncio.to_thread(repo.commit, {"use-cases/support/use-case.yaml": large})
        event = await anext(stream)
        assert event.signed.bundle is None
        async with client.get(f"/v1/bundle/{event.pointer.digest}") as fetched:
            data = await fetched.read()
            assert "immutable" in fetched.headers["Cache-Control"]
    assert digest_of(data) == event.pointer.digest
    assert len(data) == event.pointer.size
    assert decode_bundle(data).use_cases["support"].aliases[0] == "alias-00000"


class TestPings:
    @pytest.fixture
    def watch_times(self) -> WatchTimes:
        return WatchTimes(ping=0.02)

    async def test_a_quiet_stream_pings_with_the_seq(
        self, client: aiohttp.ClientSession, controller: Running, loaded: str
    ) -> None:
        async with client.get("/v1/watch") as got, asyncio.timeout(DEADLINE_SECONDS):
            stream = events(got)
            pointer = (await anext(stream)).pointer
            for _ in range(2):
                ping = await anext(stream)
                assert (ping.name, ping.id) == ("ping", "")
                assert ping.data == f'{{"epoch":{pointer.epoch},"seq":{pointer.seq}}}'


class TestSlowClients:
    @pytest.fixture
    def watch_times(self) -> WatchTimes:
        return WatchTimes(write=0.2)

    async def test_a_client_that_does_not_read_is_dropped_and_others_go_on(
        self, client: aiohttp.ClientSession, controller: Running, loaded: str, make_bundle: MakeBundle
    ) -> None:
        """Large bundles, one after the other, fill what the kernel buffers for a client that never reads."""
        publisher, token = controller.parts.publisher, controller.parts.tokens.sidecar
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", int(controller.url.rpartition(":")[2])))
            deaf.sendall(f"GET /v1/watch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            async with client.get("/v1/watch") as got, asyncio.timeout(DEADLINE_SECONDS):
                stream = events(got)
                await anext(stream)
                number = 0
                while "pointsman_watchers_dropped_total 1.0" not in controller.parts.metrics.text().decode():
                    number += 1
                    await publisher.publish(make_bundle(f"r{number}", padding=INLINE_BYTES - 2000))
                    while (await anext(stream)).pointer.revision != f"r{number}":
                        pass
            assert await asyncio.to_thread(is_cut, deaf)


async def test_a_client_that_vanishes_frees_its_stream_at_once(
    client: aiohttp.ClientSession, controller: Running, loaded: str
) -> None:
    def watchers() -> bool:
        return "pointsman_watchers 1.0" in controller.parts.metrics.text().decode()

    got = await client.get("/v1/watch", params={"id": "s1"})
    await anext(events(got))
    assert watchers()
    got.close()
    async with asyncio.timeout(1.0):
        while watchers():
            async with client.get("/healthz") as alive:
                assert alive.status == 200


async def test_streams_end_cleanly_when_the_controller_stops(
    client: aiohttp.ClientSession, controller: Running, loaded: str
) -> None:
    async with client.get("/v1/watch") as got, asyncio.timeout(DEADLINE_SECONDS):
        stream = events(got)
        await anext(stream)
        controller.parts.publisher.close()
        assert [event async for event in stream] == []


async def test_polling_with_the_known_tag_costs_nothing(
    client: aiohttp.ClientSession, repo: RulesRepo, controller: Running, loaded: str
) -> None:
    async with client.get("/v1/bundle") as first:
        tag = first.headers["ETag"]
        assert first.content_type == "application/json"
        assert (await first.json())["bundle"]
    for known in (tag, f'"0.0", {tag}', f"W/{tag}"):
        async with client.get("/v1/bundle", headers={"If-None-Match": known}) as same:
            assert (same.status, same.headers["ETag"], await same.read()) == (304, tag, b"")
    current = controller.parts.publisher.current
    assert current is not None
    await asyncio.to_thread(repo.commit_variant, 1)
    await controller.parts.publisher.newer_than(current.event_id)
    async with client.get("/v1/bundle", headers={"If-None-Match": tag}) as changed:
        assert changed.status == 200
        assert changed.headers["ETag"] != tag


async def test_a_long_poll_answers_as_soon_as_there_is_something_new(
    client: aiohttp.ClientSession, repo: RulesRepo, loaded: str
) -> None:
    async with client.get("/v1/bundle") as first:
        tag = first.headers["ETag"]
    headers = {"If-None-Match": tag, "Prefer": "respond-async, wait=10"}
    waiting = asyncio.create_task(client.get("/v1/bundle", headers=headers).__aenter__())
    await asyncio.to_thread(repo.commit_variant, 1)
    async with asyncio.timeout(DEADLINE_SECONDS), await waiting as changed:
        assert changed.status == 200
        assert changed.headers["ETag"] != tag


async def test_a_long_poll_ends_as_usual_when_the_controller_stops(
    client: aiohttp.ClientSession, controller: Running, loaded: str
) -> None:
    async with client.get("/v1/bundle") as first:
        tag = first.headers["ETag"]
    controller.parts.publisher.close()
    async with client.get("/v1/bundle", headers={"If-None-Match": tag, "Prefer": "wait=10"}) as same:
        assert same.status == 304


async def test_a_long_poll_without_news_ends_with_304(client: aiohttp.ClientSession, loaded: str) -> None:
    async with client.get("/v1/bundle") as first:
        tag = first.headers["ETag"]
    async with client.get("/v1/bundle", headers={"If-None-Match": tag, "Prefer": "wait=1"}) as same:
        assert same.status == 304


async def test_a_long_poll_waits_for_the_first_bundle_too(
    client: aiohttp.ClientSession, controller: Running, repo: RulesRepo
) -> None:
    waiting = asyncio.create_task(client.get("/v1/bundle", headers={"Prefer": "wait=10"}).__aenter__())
    commit = await asyncio.to_thread(repo.commit)
    async with asyncio.timeout(DEADLINE_SECONDS), await waiting as got:
        assert got.status == 200
        assert commit in (await got.json())["pointer"]


async def test_problems_say_why_the_newest_revision_does_not_run(
    client: aiohttp.ClientSession, controller: Running, repo: RulesRepo, loaded: str
) -> None:
    broken = await asyncio.to_thread(repo.commit, BROKEN)
    async with asyncio.timeout(DEADLINE_SECONDS):
        while controller.parts.reconciler.report.revision != broken:
            async with client.get("/healthz"):
                pass
    async with client.get("/v1/problems") as got:
        body = await got.json()
    assert (body["revision"], body["active_revision"], body["seq"]) == (broken, loaded, 1)
    (error,) = [problem for problem in body["problems"] if problem["severity"] == "error"]
    assert (error["file"], error["line"], error["column"]) == ("use-cases/support/use-case.yaml", 5, 10)
    assert {"code", "message", "suggestion"} <= set(error)
    async with client.get("/readyz") as ready:
        assert (ready.status, (await ready.json())["revision"]) == (200, loaded)
