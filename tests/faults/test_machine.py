"""What a machine does to a sidecar process: no file descriptor is left, its loop stands still, its callers leave."""

import asyncio
import os
import random
import resource
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from schemas.bundle import UseCase, encode_bundle
from sidecar.spool.lines import Line, decode_lines
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.upstream import FaultServer, Play, serving

from .conftest import Field, sidecar_process, until_ready

STANDARD_STREAMS = 3
"""Are open always: with no number above them to give, no descriptor is left, however many are in use."""
STOPPED_SECONDS = 1.0
ABORTS = 40
LEAVES_WITHIN_SECONDS = 1.0
"""A bound for a busy machine; what it takes on a quiet one is in the assertion's message."""


@asynccontextmanager
async def one_sidecar(tmp_path: Path, plays: dict[str, Play], *, good: bytes = b"") -> AsyncIterator[Field]:
    async with serving(plays, good) as server, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        rules = bundles.bundle(
            providers={part: bundles.provider(f"http://127.0.0.1:{server.port}/{part}") for part in plays},
            models={part: bundles.model(part) for part in plays},
            chain=[next(iter(plays))],
            more_use_cases={part: UseCase(owner="team", chain=(part,)) for part in plays},
        )
        (tmp_path / "bundle.json").write_bytes(encode_bundle(rules))
        async with sidecar_process(tmp_path / "bundle.json", tmp_path / "state") as (pid, url, admin):
            made = Field(url, admin, server, http, pid)
            await until_ready(made)
            yield made


async def until(server: FaultServer, part: str, count: int) -> None:
    async with asyncio.timeout(10):
        while server.received[part] < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_without_file_descriptors_calls_are_refused_and_afterwards_all_is_well(tmp_path: Path) -> None:
    plays = {"hangs": Play(status=None, then="hang"), "answers": Play(pieces=(wire.chat_answer(),))}
    async with one_sidecar(tmp_path, plays) as field:
        soft, hard = resource.prlimit(field.pid, resource.RLIMIT_NOFILE)
        assert (await field.call("answers")).status == 200
        # The call's own connection is kept open; the one to a provider needs a descriptor more, and there is none.
        resource.prlimit(field.pid, resource.RLIMIT_NOFILE, (STANDARD_STREAMS, hard))
        seen = await field.call("answers")
        assert seen.status == 503
        assert seen.code == "unreachable"
        assert (await field.record(seen.headers["x-pointsman-request-id"])).outcome == "unreachable"
        async with aiohttp.ClientSession() as stranger:
            waits = asyncio.ensure_future(stranger.get(f"{field.url}/v1/models"))
            await asyncio.sleep(0.1)
            assert not waits.done(), "its connection could not be taken"
            resource.prlimit(field.pid, resource.RLIMIT_NOFILE, (soft, hard))
            assert (await field.call("answers")).status == 200
            assert (await waits).status == 200, "who waited is served when there is room again"


async def test_a_loop_that_stands_still_is_seen_and_nobody_is_lost(tmp_path: Path) -> None:
    async with one_sidecar(tmp_path, {"answers": Play(pieces=(wire.chat_answer(),))}) as field:
        os.kill(field.pid, signal.SIGSTOP)
        call = asyncio.ensure_future(field.call("answers"))
        alive = asyncio.ensure_future(field.http.get(f"{field.admin}/healthz"))
        await asyncio.sleep(STOPPED_SECONDS)
        os.kill(field.pid, signal.SIGCONT)
        assert (await call).status == 200
        assert (await alive).status == 200, "a probe that waits a second longer is answered"
        lag = next(
            float(line.split()[1])
            for line in (await field.metrics()).splitlines()
            if line.startswith("pointsman_event_loop_lag_max_seconds ")
        )
        assert lag > STOPPED_SECONDS / 2


async def test_callers_that_leave_at_any_byte_take_the_upstream_call_with_them_and_are_booked_once(
    tmp_path: Path,
) -> None:
    plays = {"streams": Play(pieces=(wire.CONTENT,) * 20, then="hang")}
    whole = len(wire.CONTENT) * 20
    numbers = random.Random(41)
    took: list[float] = []
    async with one_sidecar(tmp_path, plays) as field:
        host, _, port = field.url.removeprefix("http://").partition(":")
        body = wire.request(model="streams", stream=True)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: {len(body)}\r\n\r\n"
        for _ in range(ABORTS):
            field.server.reset("streams")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head.encode() + body)
            await until(field.server, "streams", 1)
            await reader.readexactly(numbers.randrange(whole))
            writer.transport.abort()
            began = time.perf_counter()
            await asyncio.wait_for(field.server.left["streams"].wait(), 10)
            took.append(time.perf_counter() - began)
        outcomes = await booked_by(tmp_path, ABORTS)
    median, most = sorted(took)[len(took) // 2], max(took)
    print(f"upstream closed after p50 {median * 1e3:.1f} ms, max {most * 1e3:.1f} ms")
    assert outcomes == ["client_closed"] * ABORTS
    assert most < LEAVES_WITHIN_SECONDS, f"p50 {median:.4f} s, max {most:.4f} s"


async def booked_by(tmp_path: Path, count: int) -> list[str]:
    """The outcomes of final records in the spool."""
    async with asyncio.timeout(10):
        while True:
            lines = b"".join(path.read_bytes() for path in sorted((tmp_path / "state" / "spool").glob("*.log")))
            finals = [line for line in decode_lines(lines) if isinstance(line, Line) and line.kind == b"f"]
            if len(finals) >= count:
                assert len({line.record().id for line in finals}) == len(finals)
                return [line.record().outcome for line in finals]
            await asyncio.sleep(0.01)
