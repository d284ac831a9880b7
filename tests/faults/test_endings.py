"""How a sidecar process ends: killed it loses no call, and asked to stop it finishes what is open."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from schemas.bundle import encode_bundle
from sidecar.spool.spool import Spool
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.upstream import Play, serving

from .conftest import Field, sidecar_process, until_ready


async def left_behind(tmp_path: Path, number: int, play: Play) -> tuple[list[dict[str, Any]], bytes]:
    """A stream is open when the signal comes. What the next process finds to ship, and what the caller got."""
    async with serving({"part": play}, b"") as server, aiohttp.ClientSession() as http:
        rules = bundles.bundle(
            providers={"one": bundles.provider(f"http://127.0.0.1:{server.port}/part")},
            models={"alpha": bundles.model("one")},
            chain=["alpha"],
        )
        (tmp_path / "bundle.json").write_bytes(encode_bundle(rules))
        async with sidecar_process(tmp_path / "bundle.json", tmp_path / "state", "--drain", "0.2") as (pid, url, admin):
            field = Field(url, admin, server, http, pid)
            await until_ready(field)
            body = wire.request(stream=True)
            got = b""
            async with http.post(f"{url}/v1/chat/completions", data=body) as answer:
                got += await answer.content.readany()
                os.kill(pid, number)
                try:
                    async for data in answer.content.iter_any():
                        got += data
                except aiohttp.ClientError:
                    pass
            async with asyncio.timeout(5):
                while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():  # noqa: ASYNC110, ASYNC240
                    await asyncio.sleep(0.01)
    spool = Spool(tmp_path / "state" / "spool")
    records, _ = spool.unshipped()
    spool.close()
    return [msgspec.json.decode(line.json) for line in records], got


@pytest.mark.parametrize(("number", "outcome"), [(signal.SIGKILL, "unknown_outcome"), (signal.SIGTERM, "not_ready")])
async def test_an_open_stream_is_booked_once_however_the_process_ends(
    tmp_path: Path, number: int, outcome: str
) -> None:
    records, got = await left_behind(tmp_path, number, Play(pieces=(wire.CONTENT,), then="hang"))
    assert [record["outcome"] for record in records] == [outcome]
    assert records[0]["estimated"]
    assert got.startswith(wire.CONTENT)
    assert (b'"error"' in got) is (number == signal.SIGTERM), "who is asked to stop says so"
    assert wire.DONE not in got, "no false end mark"
