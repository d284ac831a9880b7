"""Where rules come from: a controller, a rules folder, a bundle file or a mounted ConfigMap. All offer to one store.

Sources stand in order of preference: a later one is heard only while every earlier one has been silent for a while.
"""

import asyncio
import json
import logging
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from schemas.bundle import BundleRefused, SignedPointer, digest_of
from sidecar.ports import Clock
from sidecar.rules.store import RuleStore
from sidecar.uplink import Uplink, UplinkFailed

BUNDLE_FILE = "bundle.json"
"""In a mounted ConfigMap folder."""
SILENT_SECONDS = 30.0
POLL_SECONDS = 5.0
"""A safety net under file watching: some mounts report no changes."""
SETTLE_MILLISECONDS = 50
LONGEST_WAIT_SECONDS = 30.0
ENOUGH_PROBLEMS = 5

log = logging.getLogger("pointsman.rules")


class Source(Protocol):
    name: str

    async def run(self, heard: Callable[[], bool]) -> None:
        """Offer rules until cancelled. `heard()` says that this source is alive; False: an earlier one is, be quiet."""
        ...


async def run_sources(sources: list[Source], clock: Clock) -> None:
    """All at once; each only as loud as its place allows."""
    last_heard = [float("-inf")] * len(sources)

    def hearer(place: int) -> Callable[[], bool]:
        def heard() -> bool:
            now = clock.monotonic()
            last_heard[place] = now
            return all(now - earlier > SILENT_SECONDS for earlier in last_heard[:place])

        return heard

    async with asyncio.TaskGroup() as group:
        for place, source in enumerate(sources):
            group.create_task(source.run(hearer(place)))


class ControllerSource:
    """Watches, and polls after every broken watch: a proxy that breaks streams costs latency only."""

    def __init__(self, uplink: Uplink, store: RuleStore, clock: Clock) -> None:
        self.name = uplink.url
        self._uplink = uplink
        self._store = store
        self._clock = clock

    async def run(self, heard: Callable[[], bool]) -> None:
        failures = 0
        while True:
            try:
                async for signed in self._uplink.watch():
                    failures = 0
                    if heard():
                        await take(signed, self._uplink, self._store)
            except UplinkFailed as error:
                log.warning("rules.watch_broken error=%s", error)
            failures += 1
            wait = min(LONGEST_WAIT_SECONDS, 0.25 * 2.0 ** min(failures, 10))
            await self._clock.sleep(wait * self._clock.jitter())
            try:
                polled = await self._uplink.poll()
                if polled is not None and heard():
                    await take(polled, self._uplink, self._store)
            except UplinkFailed as error:
                log.warning("rules.poll_failed error=%s", error)


async def take(signed: SignedPointer, uplink: Uplink, store: RuleStore) -> None:
    """Runs what a pointer names, unless it runs or is refused already. Raises UplinkFailed."""
    pointer = store.wants(signed)
    if pointer is None:
        return
    inline = (signed.bundle or "").encode()
    data = inline if digest_of(inline) == pointer.digest else await uplink.bundle(pointer.digest)
    await store.take(signed, data)


class FileSource:
    """A bundle on disk. Its folder is watched, not the file: a ConfigMap is swapped by renaming a link beside it."""

    def __init__(self, path: Path, store: RuleStore) -> None:
        self.name = str(path)
        self._path = path
        self._store = store

    async def run(self, heard: Callable[[], bool]) -> None:
        async def look() -> None:
            try:
                data = await asyncio.to_thread(self._path.read_bytes)
            except OSError as error:
                self._store.refuse(f"{self._path.name} cannot be read: {error.strerror}")
                return
            if heard():
                await self._store.take_local(data, heard)

        await _watch(self._path.parent, look)


class FolderSource:
    """A rules folder as it lies. It is read and checked by a child process, so that the sidecar itself stays small."""

    def __init__(self, folder: Path, store: RuleStore) -> None:
        self.name = str(folder)
        self._folder = folder
        self._store = store

    async def run(self, heard: Callable[[], bool]) -> None:
        async def look() -> None:
            try:
                data = await compile_folder(self._folder)
            except BundleRefused as error:
                self._store.refuse(str(error))
                return
            if heard():
                await self._store.take_local(data, heard)

        await _watch(self._folder, look)


async def compile_folder(folder: Path) -> bytes:
    """The folder's canonical bundle. Raises BundleRefused with the first problems, each with its place."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemas", "compile", str(folder),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await child.communicate()
    if child.returncode == 0:
        return out
    raise BundleRefused(_problems(err.decode(errors="replace")))


def _problems(text: str) -> str:
    """The compiler's findings, one JSON object a line; anything else is shown as it is."""
    found = []
    for line in text.splitlines():
        try:
            problem = json.loads(line)
            if problem["severity"] == "error":
                found.append(f"{problem['file']}:{problem['line']}:{problem['column']} {problem['message']}")
        except (ValueError, KeyError, TypeError):
            found.append(line)
    more = f" (and {len(found) - ENOUGH_PROBLEMS} more)" if len(found) > ENOUGH_PROBLEMS else ""
    return "; ".join(found[:ENOUGH_PROBLEMS]) + more


async def _watch(folder: Path, look: Callable[[], Awaitable[None]]) -> None:
    """Look once the watch stands, on every change, and every few seconds where the file's bytes have changed unseen."""
    from watchfiles import awatch

    timeout = round(POLL_SECONDS * 1000)
    watch = awatch(folder, step=SETTLE_MILLISECONDS, debounce=500, rust_timeout=timeout, yield_on_timeout=True)
    change = asyncio.ensure_future(anext(watch))
    try:
        await asyncio.sleep(0)  # `awatch` sets up its watch in its first step, before it waits
        seen = await asyncio.to_thread(_fingerprint, folder)
        await look()
        while True:
            await change
            change = asyncio.ensure_future(anext(watch))
            try:
                now = await asyncio.to_thread(_fingerprint, folder)
                if now != seen:
                    await look()
                    seen = now
            except OSError as error:  # no file descriptor, no process: what runs goes on, the next look may be better
                log.warning("rules.not_looked_at folder=%s error=%s", folder, error.strerror)
    finally:
        change.cancel()
        await asyncio.wait({change})


def _fingerprint(folder: Path) -> str:
    """Names, sizes and times of the folder's own files; links are followed, dot folders are not."""
    parts = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if any(part.startswith(".") and part != "..data" for part in relative.parts):
            continue
        try:
            found = path.stat()
        except OSError:  # it went between the listing and the look
            continue
        if not stat.S_ISREG(found.st_mode):
            continue
        parts.append(f"{relative}:{found.st_size}:{found.st_mtime_ns}:{found.st_ino}")
    return digest_of("\n".join(parts).encode())
