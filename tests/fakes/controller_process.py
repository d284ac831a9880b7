"""`pointsman serve` as a process of its own, as people run it."""

import asyncio
import os
import signal
import sys
from pathlib import Path

DEADLINE_SECONDS = 20.0


class ControllerProcess:
    """Started with `start`; its lines are kept as they come, and `said` waits for one."""

    def __init__(self, repo: Path | str, state: Path, *options: str) -> None:
        self._repo = repo
        self._options = options
        self._state = state
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.url = ""

    @property
    def sidecar_token(self) -> str:
        return (self._state / "sidecar.token").read_text()

    async def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("POINTSMAN_")}
        self.lines, self.errors = [], []
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "controller", "serve", "--repo", str(self._repo), "--state", str(self._state),
            "--listen", "127.0.0.1:0", *self._options,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            asyncio.create_task(self._read(self._process.stdout, self.lines)),
            asyncio.create_task(self._read(self._process.stderr, self.errors)),
        ]
        listening = await self.said("controller.listening")
        self.url = listening.partition("url=")[2].split()[0]

    async def said(self, words: str) -> str:
        """The first line, on either stream, that holds these words."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                for line in (*self.lines, *self.errors):
                    if words in line:
                        return line
                assert not all(reader.done() for reader in self._readers), f"ended without {words!r}: {self.errors}"
                self._news.clear()
                await self._news.wait()

    async def stop(self) -> int:
        """SIGTERM, and the exit status."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL: no line of its code runs any more."""
        await self._end(signal.SIGKILL)

    async def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    async def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        async with asyncio.timeout(DEADLINE_SECONDS):
            status = await self._process.wait()
            await asyncio.gather(*self._readers)
        return status

    async def _read(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        async for line in stream:
            lines.append(line.decode().rstrip("\n"))
            self._news.set()
        self._news.set()
