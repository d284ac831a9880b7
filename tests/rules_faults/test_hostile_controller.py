"""A controller that lies, mumbles or floods: nothing of it runs, memory stays bounded, and calls are answered."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller.sign import Signer, save_public_key
from schemas.bundle import MAX_BUNDLE_BYTES, Pointer, SignedPointer, digest_of, encode_bundle
from tests.fakes import core_bundles, wire
from tests.fakes.processes import eventually
from tests.fakes.sidecar import SidecarProcess
from tests.fakes.simulator import StartSimulator

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS, ANOTHER = Signer(bytes(32)), Signer(bytes(range(32)))
BOMB_BYTES: Final = 400 << 20
MOST_MEGABYTES: Final = 150
"""What the sidecar may grow by: a whole bundle as bytes, as values and once more on its way, each at its bound."""
QUESTION: Final = {"model": "chat", "messages": [{"role": "user", "content": "Hello."}]}
GZIP: Final = {"content-encoding": "gzip"}


class Liar:
    """Speaks the controller's API; what it says is up to the test."""

    def __init__(self) -> None:
        self.seq = 100
        self.blobs: dict[str, tuple[bytes, Mapping[str, str]]] = {}
        self.poll: tuple[bytes, Mapping[str, str]] = (b"{}", {})
        self.greeting = b""
        """What every stream begins with."""
        self.said: list[bytes | None] = []
        """Every event since the first; None ends the stream."""
        self._news = asyncio.Condition()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/watch", self._watch)
        app.router.add_get("/v1/bundle", self._poll)
        app.router.add_get("/v1/bundle/{digest}", self._blob)
        return app

    async def say(self, data: bytes | None) -> None:
        async with self._news:
            self.said.append(data)
            self._news.notify_all()

    async def announce(self, signed: SignedPointer) -> None:
        await self.say(event_of(signed))

    def greet_with(self, data: bytes) -> None:
        """Rules that are as they should be."""
        self.blobs[digest_of(data)] = (data, {})
        signed = OURS.sign(text_of(self.pointer(data)))
        self.greeting, self.poll = event_of(signed), (msgspec.json.encode(signed), {})

    def pointer(self, data: bytes, **changes: Any) -> Pointer:
        self.seq += 1
        fields: dict[str, Any] = {"epoch": 1, "seq": self.seq, "digest": digest_of(data), "size": len(data)}
        return Pointer(**({**fields, "revision": "r"} | changes))

    async def offer(self, data: bytes, *, signer: Signer = OURS, shown: bytes | None = None, **changes: Any) -> None:
        """A pointer for these bytes, under which others may be shown."""
        pointer = self.pointer(data, **changes)
        self.blobs[pointer.digest] = (data if shown is None else shown, {})
        await self.announce(signer.sign(text_of(pointer)))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await stream.prepare(request)
        heard = len(self.said)
        await stream.write(b": hello\n\n" + self.greeting)
        while True:
            async with self._news:
                while len(self.said) == heard:
                    await self._news.wait()
            data, heard = self.said[heard], heard + 1
            if data is None:
                return stream
            await stream.write(data)

    async def _poll(self, _request: web.Request) -> web.Response:
        body, headers = self.poll
        return web.Response(body=body, headers=headers)

    async def _blob(self, request: web.Request) -> web.Response:
        body, headers = self.blobs[request.match_info["digest"]]
        return web.Response(body=body, headers=headers)


def event_of(signed: SignedPointer) -> bytes:
    return b"event: pointer\ndata: %b\n\n" % msgspec.json.encode(signed)


def text_of(pointer: Pointer) -> str:
    return msgspec.json.encode(pointer).decode()


def rules_of(provider: str, revision: str) -> bytes:
    providers = {name: core_bundles.provider(f"{provider}/v1") for name in ("one", "two")}
    return encode_bundle(core_bundles.bundle(revision=revision, providers=providers))


class World:
    def __init__(self, liar: Liar, sidecar: SidecarProcess, provider: str) -> None:
        self.liar, self.sidecar, self._provider = liar, sidecar, provider

    def rules(self, revision: str) -> bytes:
        return rules_of(self._provider, revision)

    async def until_it_says(self, words: str) -> None:
        await asyncio.to_thread(eventually, lambda: words in self.sidecar.status().error or None, 20)

    async def until_it_warns(self, words: str) -> None:
        await asyncio.to_thread(eventually, lambda: words in self.sidecar.stderr() or None, 20)

    async def runs(self, revision: str) -> None:
        await asyncio.to_thread(eventually, lambda: self.sidecar.status().active.revision == revision, 20)
        reply = await asyncio.to_thread(wire.post, f"{self.sidecar.url}/v1/chat/completions", QUESTION)
        assert reply.status == 200, reply.body

    def megabytes(self) -> int:
        """The most memory that it has ever had."""
        status = Path(f"/proc/{self.sidecar.child.popen.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, start_simulator: StartSimulator) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("hostile")
    save_public_key(folder / "signing.pub", OURS)
    simulator = start_simulator("alpha")
    liar = Liar()
    async with TestServer(liar.app()) as server:
        url = str(server.make_url("/"))
        options = ["--public-key", str(folder / "signing.pub")]
        liar.greet_with(rules_of(simulator.url, "good"))
        sidecar = await asyncio.to_thread(SidecarProcess, url, folder / "sidecar", options=options)
        try:
            made = World(liar, sidecar, simulator.url)
            await made.runs("good")
            yield made
        finally:
            await asyncio.to_thread(sidecar.stop)


class TestLies:
    async def test_a_pointer_that_nobody_signed(self, world: World) -> None:
        await world.liar.announce(SignedPointer(pointer=text_of(world.liar.pointer(world.rules("x")))))
        await self.refused(world, "no trusted key")

    async def test_a_pointer_that_somebody_else_signed(self, world: World) -> None:
        await world.liar.offer(world.rules("x"), signer=ANOTHER)
        await self.refused(world, "no trusted key")

    async def test_a_pointer_that_was_changed_after_it_was_signed(self, world: World) -> None:
        signed = OURS.sign(text_of(world.liar.pointer(world.rules("x"))))
        await world.liar.announce(msgspec.structs.replace(signed, pointer=signed.pointer.replace('"r"', '"s"')))
        await self.refused(world, "no trusted key")

    async def test_a_pointer_from_before(self, world: World) -> None:
        await world.liar.offer(world.rules("x"), seq=1)
        await self.refused(world, "is older than")

    async def test_a_pointer_of_an_earlier_epoch(self, world: World) -> None:
        await world.liar.offer(world.rules("x"), epoch=0)
        await self.refused(world, "is older than")

    async def test_bytes_other_than_those_that_were_named(self, world: World) -> None:
        await world.liar.offer(world.rules("x"), shown=world.rules("y"))
        await self.refused(world, "the pointer names")

    async def test_bytes_that_are_cut_short(self, world: World) -> None:
        await world.liar.offer(world.rules("x"), shown=world.rules("x")[:-1])
        await self.refused(world, "the pointer names")

    async def test_a_field_that_this_version_does_not_know(self, world: World) -> None:
        await world.liar.offer(world.rules("x").replace(b'"owner"', b'"feature":1,"owner"'))
        await self.refused(world, "not a bundle")

    async def test_a_newer_schema(self, world: World) -> None:
        await world.liar.offer(world.rules("x").replace(b'"schema":"1.0"', b'"schema":"2.0"'))
        await self.refused(world, "schema 2.x is not supported")

    async def test_a_name_that_leads_nowhere(self, world: World) -> None:
        await world.liar.offer(world.rules("x").replace(b'"chain":["alpha"', b'"chain":["nobody"'))
        await self.refused(world, "unknown model 'nobody'")

    async def test_brackets_without_end(self, world: World) -> None:
        await world.liar.offer(b"[" * 200_000)
        await self.refused(world, "not a bundle")

    async def test_a_pointer_with_nothing_in_the_place_of_each_of_its_fields(self, world: World) -> None:
        whole = msgspec.to_builtins(world.liar.pointer(world.rules("x")))
        for name in ("epoch", "seq", "digest", "size", "revision"):
            for value in (None, [], {}):
                text = msgspec.json.encode(whole | {name: value}).decode()
                await world.liar.announce(OURS.sign(text))
        await world.liar.announce(OURS.sign("null"))
        await self.refused(world, "the pointer cannot be read")

    async def refused(self, world: World, words: str) -> None:
        await world.until_it_says(words)
        await world.runs("good")


async def test_more_bytes_than_anybody_wants_are_not_taken(world: World) -> None:
    before = world.megabytes()
    bomb = gzip.compress(bytes(BOMB_BYTES), compresslevel=1)
    named = world.liar.pointer(b"something else")
    world.liar.blobs[named.digest] = (bomb, GZIP)
    await world.liar.announce(OURS.sign(text_of(named)))
    await world.until_it_says("the pointer names")
    await world.liar.offer(world.rules("large").ljust(MAX_BUNDLE_BYTES + 1))
    await world.until_it_says(f"bundle of {MAX_BUNDLE_BYTES + 1} bytes")
    # A stream that breaks makes it ask: with the same flood for an answer.
    world.liar.greet_with(world.rules("good"))
    world.liar.poll = (bomb, GZIP)
    await world.liar.say(None)
    await world.until_it_warns("rules.poll_failed error=/v1/bundle answered with more than")
    await world.runs("good")
    grown = world.megabytes() - before
    print(f"a flood of {BOMB_BYTES >> 20} MB, twice: grew by {grown} MB at most")
    assert grown < MOST_MEGABYTES


async def test_after_all_of_it_what_is_right_runs(world: World) -> None:
    world.liar.greet_with(world.rules("right"))
    await world.liar.say(None)
    await world.runs("right")
    assert world.sidecar.status().error == ""
    assert "rules.crashed" not in world.sidecar.stderr()
