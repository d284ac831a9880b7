"""A sidecar process between a caller of this test and providers that fail: the whole matrix in one set of rules."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest_asyncio
import yaml

from controller.demo.simulator.server import serving as simulating
from controller.demo.simulator.settings import SimulatorSettings
from schemas.bundle import Bundle, Timeouts, UseCase, encode_bundle
from schemas.record import CallRecord
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.upstream import FaultServer, Play, refusing_port, serving, silent_port

MATRIX = yaml.safe_load((Path(__file__).parent / "matrix.yaml").read_text(encoding="utf-8"))
BEFORE: list[dict[str, Any]] = MATRIX["before_the_first_byte"]
AFTER: list[dict[str, Any]] = MATRIX["after_the_first_byte"]

PIECES = {
    "opening": wire.OPENING,
    "content": wire.CONTENT,
    "finish": wire.FINISH,
    "usage": wire.USAGE,
    "done": wire.DONE,
    "error": wire.ERROR_EVENT,
    "half": wire.CONTENT[:50],
    "ping": b": ping\n\n",
    "garbage": wire.event(b'{"error": no json'),
    "part": wire.chat_answer()[:60],
    "binary": b"\xff\xfe\x00",
    "content_with_usage": wire.chat_chunk(
        {"content": "Hi"}, usage={"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    ),
}
EXTRA_PLAYS = {
    "stale": Play(status=None, then="close", only=2),
    "hangs": Play(status=None, then="hang"),
    "streams": Play(pieces=(wire.CONTENT,), then="hang"),
    "throttles": Play(status=429, headers={"retry-after": "60"}),
    "key": Play(status=401, pieces=(b'{"error":{"message":"Incorrect API key provided: sk-live-abcdef123456"}}',)),
    "bad-key": Play(status=400, pieces=(b'{"error":{"message":"no such key sk-live-abcdef123456 here"}}',)),
}


def slug(row: Mapping[str, Any]) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in row["fault"].lower())


def play_of(does: Mapping[str, Any]) -> Play:
    pieces = (does["body"].encode(),) if "body" in does else tuple(PIECES[name] for name in does.get("pieces", ()))
    known = {name: does[name] for name in ("status", "headers", "then", "bad_chunk") if name in does}
    return Play(pieces=pieces, **known)


@dataclass(frozen=True)
class Seen:
    """What the caller got."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(msgspec.json.decode(self.body)["error"]["code"])


class Field:
    """The sidecar, its callers' side, and the providers behind it."""

    def __init__(self, url: str, admin: str, server: FaultServer, http: aiohttp.ClientSession, pid: int) -> None:
        self.url, self.admin, self.server, self.pid = url, admin, server, pid
        self.http = http

    async def call(self, use_case: str, *, stream: bool = False, **headers: str) -> Seen:
        body = wire.request(model=use_case, stream=stream)
        async with self.http.post(f"{self.url}/v1/chat/completions", data=body, headers=headers) as answer:
            return Seen(answer.status, answer.headers, await answer.read())

    async def record(self, call_id: str) -> CallRecord:
        async with self.http.get(f"{self.url}/pointsman/calls/{call_id}") as answer:
            assert answer.status == 200, await answer.text()
            return msgspec.json.decode(await answer.read(), type=CallRecord)

    async def metrics(self) -> str:
        async with self.http.get(f"{self.admin}/metrics") as answer:
            return await answer.text()

    async def is_resting(self, model: str) -> bool:
        return f'pointsman_targets_resting{{target="{model}@' in await self.metrics()


def rules(server: FaultServer, simulator: str, ports: Mapping[str, int]) -> Bundle:
    """Every row has its own models, so that no breaker of one is another's."""
    places = {
        "refused": f"http://127.0.0.1:{ports['refused']}/v1",
        "silent": f"http://127.0.0.1:{ports['silent']}/v1",
        "dns": "http://nowhere.invalid/v1",
        "long": f"http://{'x' * 70}.invalid/v1",
        "tls": f"https://127.0.0.1:{server.port}/v1",
    }
    providers = {"good": bundles.provider(f"{simulator}/v1")}
    models = {"good": bundles.model("good", window=400_000)}
    use_cases: dict[str, UseCase] = {}

    def add(name: str, url: str, chain: tuple[str, ...], timeouts: Mapping[str, float]) -> None:
        providers[name] = bundles.provider(url)
        models[name] = bundles.model(name)
        use_cases[name] = UseCase(owner="team", chain=chain, timeouts=Timeouts(**{"deadline": 10.0, **timeouts}))

    for row in (*BEFORE, *AFTER):
        for kind in ("plain", "stream", "alone"):
            name = f"{slug(row)}-{kind}"
            url = places[row["at"]] if "at" in row else f"http://127.0.0.1:{server.port}/{name}"
            add(name, url, (name,) if kind == "alone" else (name, "good"), row.get("timeouts", {}))
            if "does" in row:
                server.plays[name] = play_of(row["does"])
    for name in EXTRA_PLAYS:
        chain = (name, "good") if name == "throttles" else (name,)
        add(name, f"http://127.0.0.1:{server.port}/{name}", chain, {})
    return bundles.bundle(providers=providers, models=models, chain=("good",), name="good", more_use_cases=use_cases)


@asynccontextmanager
async def sidecar_process(bundle: Path, state: Path, *flags: str) -> AsyncIterator[tuple[int, str, str]]:
    """Process id, the agents' and the admin's address."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", "--rules", str(bundle), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
        "--state", str(state), *flags, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        words = (await asyncio.wait_for(child.stdout.readline(), 20)).decode().replace(",", "").split()
        yield child.pid, words[4], words[7]
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def field(tmp_path_factory: Any) -> AsyncIterator[Field]:
    folder = tmp_path_factory.mktemp("faults")
    with ExitStack() as ports:
        numbers = {"refused": ports.enter_context(refusing_port()), "silent": ports.enter_context(silent_port())}
        async with (
            simulating(SimulatorSettings(name="good")) as simulator,
            serving(EXTRA_PLAYS, wire.chat_answer()) as server,
        ):
            (folder / "bundle.json").write_bytes(encode_bundle(rules(server, simulator, numbers)))
            async with (
                sidecar_process(folder / "bundle.json", folder / "state") as (pid, url, admin),
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
            ):
                made = Field(url, admin, server, http, pid)
                await until_ready(made)
                yield made


async def until_ready(field: Field) -> None:
    for _ in range(1_000):
        async with field.http.get(f"{field.admin}/readyz") as answer:
            if answer.status == 200:
                return
        await asyncio.sleep(0.02)
    raise AssertionError("not ready after 20 s")
