"""Many sidecars in one process, as far as a controller sees them: watch, verify, run, report, and come back.

Run by `tests.bench.fleet`. `active REVISION`, a line on standard input, is answered by a JSON line once all clients run
it; `count` at once; at its end the process ends.
"""

import asyncio
import base64
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from schemas.bundle import Pointer, SignedPointer, decode_bundle, digest_of
from schemas.status import Activation, SidecarStatus
from sidecar.rules.trust import Trust
from sidecar.sse import SseDecoder

LONGEST_WAIT_SECONDS = 30.0
"""As `sidecar.rules.sources` comes back after a broken watch."""
STARTS_A_SECOND = 1000
REPORTS_AT_ONCE = 300
"""Of one process: open files are few on one machine."""


class Clients:
    """What thousands of machines would each check is checked once here: one machine does not have their processors."""

    def __init__(self, url: str, token: str, trust: Trust, first: int, number: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._token = token
        self._trust = trust
        self._numbers = range(first, first + number)
        self._checked: dict[bytes, Pointer] = {}
        self._running: dict[int, str] = {}
        self._at: dict[str, list[float]] = {}
        self._news = asyncio.Event()
        self._reports: set[asyncio.Task[None]] = set()
        self._reporting = asyncio.Semaphore(REPORTS_AT_ONCE)
        self.connected = 0
        self.failures: Counter[str] = Counter()
        self.reports: Counter[str] = Counter()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for place, number in enumerate(self._numbers):
                group.create_task(self._live(number, place / STARTS_A_SECOND))

    async def all_active(self, revision: str) -> list[float]:
        """Unix times at which each came to run it, when all do."""
        while sum(run == revision for run in self._running.values()) < len(self._numbers):
            self._news.clear()
            await self._news.wait()
        return self._at[revision]

    def counts(self) -> dict[str, object]:
        return {
            "connected": self.connected, "failures": self.failures, "reports": self.reports,
            "unreported": len(self._reports),
        }  # fmt: skip

    async def _live(self, number: int, starts_after: float) -> None:
        await asyncio.sleep(starts_after)
        failures = 0
        while True:
            try:
                async for data in self._watch(number):
                    failures = 0
                    self._activate(number, self._check(data))
                self.failures["the stream ended"] += 1
            except (OSError, EOFError, ValueError) as error:
                self.failures[f"{type(error).__name__}: {error}"[:80]] += 1
            failures += 1
            await asyncio.sleep(min(LONGEST_WAIT_SECONDS, 0.25 * 2.0 ** min(failures, 10)) * random.random())

    async def _watch(self, number: int) -> AsyncIterator[bytes]:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            await self._ask(writer, f"GET /v1/watch?id=bench-{number}", b"")
            await _expect_ok(reader)
            decoder = SseDecoder()
            self.connected += 1
            try:
                while size := int(await reader.readline() or b"0", 16):
                    chunk = (await reader.readexactly(size + 2))[:-2]
                    for event in decoder.feed(chunk):
                        if event.event == "pointer":
                            yield event.data if isinstance(event.data, bytes) else event.data.encode()
            finally:
                self.connected -= 1
        finally:
            writer.transport.abort()

    def _check(self, data: bytes) -> Pointer:
        known = self._checked.get(data)
        if known is None:
            signed = msgspec.json.decode(data, type=SignedPointer)
            known = self._checked[data] = self._trust.pointer(signed)
            bundle = (signed.bundle or "").encode()
            if digest_of(bundle) != known.digest:
                raise ValueError("the bundle is not the one that is named")
            decode_bundle(bundle)
        return known

    def _activate(self, number: int, pointer: Pointer) -> None:
        if self._running.get(number) != pointer.revision:
            self._running[number] = pointer.revision
            self._at.setdefault(pointer.revision, []).append(time.time())
            self._news.set()
            task = asyncio.get_running_loop().create_task(self._report(number, pointer))
            self._reports.add(task)
            task.add_done_callback(self._reports.discard)

    async def _report(self, number: int, pointer: Pointer) -> None:
        """At once, as a sidecar does."""
        active = Activation(pointer.digest, pointer.revision, "2026-11-26T00:00:00Z")
        status = SidecarStatus(
            id=f"bench-{number}", version="bench", state="ACTIVE", seq=pointer.seq, tried=active, fetched=active,
            active=active,
        )  # fmt: skip
        try:
            async with self._reporting:
                reader, writer = await asyncio.open_connection(self._host, self._port)
                try:
                    await self._ask(writer, "POST /v1/status", msgspec.json.encode(status))
                    await _expect_ok(reader)
                    self.reports["ok"] += 1
                finally:
                    writer.transport.abort()
        except (OSError, EOFError, ValueError) as error:
            self.reports[type(error).__name__] += 1

    async def _ask(self, writer: asyncio.StreamWriter, what: str, body: bytes) -> None:
        writer.write(
            f"{what} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()


async def _expect_ok(reader: asyncio.StreamReader) -> None:
    status = await reader.readline()
    while (await reader.readline()).strip():
        pass
    if not status:
        raise EOFError("no answer")
    if b" 200 " not in status and b" 204 " not in status:
        raise ValueError(status.decode(errors="replace").strip())


async def main(url: str, folder: str, first: str, number: str) -> None:
    state = Path(folder)
    trust = Trust((base64.b64decode((state / "signing.pub").read_text()),))
    clients = Clients(url, (state / "sidecar.token").read_text().strip(), trust, int(first), int(number))
    running = asyncio.create_task(clients.run())
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        match line.decode().split():
            case ["active", revision]:
                answer: object = await clients.all_active(revision)
            case _:
                answer = clients.counts()
        print(json.dumps(answer), flush=True)
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
