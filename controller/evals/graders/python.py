"""`python`: a team's own function, in a process with bounds on time and memory, and without our environment."""

import asyncio
import contextlib
import json
import math
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from controller.evals.graders.answer import Answer
from schemas.rules.graders import PythonGrader

WORKER: Final = Path(__file__).with_name("python_worker.py")
START_SECONDS: Final = 20.0
"""Its own imports may take a while, on a busy machine."""
MAX_LINE_BYTES: Final = 1 << 20


class PythonProcess:
    """One grader's process, started when it is first asked, and anew after it was ended."""

    def __init__(self, grader: PythonGrader, source: str) -> None:
        self._grader = grader
        self._source = source
        self._process: asyncio.subprocess.Process | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._folder = await asyncio.to_thread(_folder_with, self._source)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()
        if self._folder is not None:
            self._folder.cleanup()

    async def grade(self, sample: Mapping[str, Any], answer: Answer) -> tuple[float | None, str]:
        """What it is worth, or None and why nobody can tell."""
        question = json.dumps({"sample": sample, "answer": asdict(answer)}, default=_plain).encode() + b"\n"
        async with self._one_at_a_time:
            try:
                process = self._process or await self._start()
                value = await asyncio.wait_for(_ask(process, question), self._grader.timeout)
            except (TimeoutError, OSError, ValueError) as error:
                await self._end()
                return None, f"{type(error).__name__}: {error}" if str(error) else "it took too long"
            except asyncio.CancelledError:
                # Its verdict would be taken for the next answer's.
                await self._end()
                raise
        return (None, str(value["error"])[:300]) if "error" in value else _worth(value.get("value"))

    async def _start(self) -> asyncio.subprocess.Process:
        assert self._folder is not None
        # Isolated (-I): neither our environment, with its keys, nor the folder it is started in are seen.
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", str(WORKER), "grader.py", self._grader.function, str(self._grader.memory_mb),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            cwd=self._folder.name, env={"PATH": os.defpath, "LANG": "C.UTF-8"}, start_new_session=True,
            limit=MAX_LINE_BYTES,
        )  # fmt: skip
        ready = await asyncio.wait_for(_line(process), START_SECONDS)
        if "error" in ready:
            raise ValueError(ready["error"])
        return process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _worth(value: object) -> tuple[float | None, str]:
    if value is None:
        return None, "it said None"
    if isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 1:
        return float(value), ""
    return None, f"it gave {value!r}, which is no number from 0 to 1"


def _folder_with(source: str) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="pointsman-grader-")
    Path(folder.name, "grader.py").write_text(source, encoding="utf-8", errors="surrogateescape")
    return folder


async def _ask(process: asyncio.subprocess.Process, question: bytes) -> Mapping[str, Any]:
    assert process.stdin is not None
    process.stdin.write(question)
    await process.stdin.drain()
    return await _line(process)


async def _line(process: asyncio.subprocess.Process) -> Mapping[str, Any]:
    """Raises ValueError: its process ended, or what came is not ours."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise ValueError("its process ended; out of memory?")
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("what it wrote is not a verdict")
    return value


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)
