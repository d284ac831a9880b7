"""A caller that takes nothing of a long stream: the provider is paused, and the sidecar's memory stays what it was."""

import asyncio
import socket
from pathlib import Path

import aiohttp

from schemas.bundle import encode_bundle
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.upstream import FaultServer, Play, serving

from .conftest import Field, sidecar_process, until_ready

PIECE = wire.CONTENT * 600
PIECES = 2_000
"""About 200 MB in all."""
MOST_MEGABYTES = 12
"""Sockets and their buffers on both sides, with room."""
SETTLED_SECONDS = 0.5


async def test_a_provider_waits_for_a_caller_that_takes_nothing(tmp_path: Path) -> None:
    async with (
        serving({"flood": Play(pieces=(PIECE,) * PIECES, then="hang")}, b"") as server,
        aiohttp.ClientSession() as http,
    ):
        rules = bundles.bundle(
            providers={"one": bundles.provider(f"http://127.0.0.1:{server.port}/flood")},
            models={"alpha": bundles.model("one")},
            chain=["alpha"],
        )
        (tmp_path / "bundle.json").write_bytes(encode_bundle(rules))
        async with sidecar_process(tmp_path / "bundle.json", tmp_path / "state") as (pid, url, admin):
            await until_ready(Field(url, admin, server, http, pid))
            before = megabytes(pid)
            with asking(url) as caller:
                assert await asyncio.to_thread(caller.recv, 12) == b"HTTP/1.1 200"
                sent = await until_it_stands(server)
                assert sent < len(PIECE) * PIECES / 4
                assert megabytes(pid) - before < MOST_MEGABYTES


def asking(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    caller = socket.create_connection((host, int(port)), timeout=10)
    body = wire.request(stream=True)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: {len(body)}\r\n\r\n"
    caller.sendall(head.encode() + body)
    return caller


async def until_it_stands(server: FaultServer) -> int:
    """Bytes that the provider could send before nobody took any more."""
    sent = -1
    while sent != server.sent["flood"] or not sent:
        sent = server.sent["flood"]
        await asyncio.sleep(SETTLED_SECONDS)  # a look, and another one: nothing waits for this to come true
    return sent


def megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
