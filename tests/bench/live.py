"""A server that is up: started, proved with a real call, asked for its numbers, stopped.
And the upstream behind all of them, which tells who really called it."""

import http.client
import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import processes
from tests.bench.payloads import PLAIN, encode_body
from tests.bench.processes import Process
from tests.bench.targets import Place, Row, Server
from tests.fakes.free_ports import free_port

START_SECONDS = 30
PAUSE_SECONDS = 0.003  # between two tries of the first call; the error that it adds to a start


class DidNotStart(Exception):
    """The server ended, or gave no good answer in time; the text tells its last words."""


@dataclass(frozen=True, slots=True)
class Live:
    """A running server."""

    process: Process
    port: int
    start_seconds: float
    """From the start of the program to the first good answer to a chat call."""


def start(row: Row, server: Server, folder: Path, *, upstream_port: int, core: int) -> Live:
    """Start `server` in a fresh `folder` and call `row.model` until it answers. Raises DidNotStart."""
    folder.mkdir(parents=True)
    place = Place(folder, free_port(), free_port(), upstream_port)
    command = server.command(place)
    began = time.monotonic()
    try:
        process = processes.start(command, core=core, log=folder / "output.log", environment=server.environment)
    except OSError as error:
        raise DidNotStart(str(error)) from error
    try:
        _wait_for_answer(process, place, row, began + START_SECONDS)
    except BaseException:  # an interrupted bench leaves no server behind
        process.stop()
        raise
    return Live(process, place.port, time.monotonic() - began)


def _wait_for_answer(process: Process, place: Place, row: Row, deadline: float) -> None:
    while wrong := call_once(place.port, row.model, row.headers_at(place.upstream_port)):
        if process.has_ended():
            raise DidNotStart(process.last_words())
        if time.monotonic() > deadline:
            raise DidNotStart(f"no good answer in {START_SECONDS} s: {wrong}")
        time.sleep(PAUSE_SECONDS)


def call_once(port: int, model: str, headers: Mapping[str, str] | None = None) -> str:
    """Make one plain chat call. Empty when the answer is a chat completion with text and usage, else what came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        sent = {"Content-Type": "application/json", "Authorization": "Bearer sk-bench-agent", **(headers or {})}
        connection.request("POST", "/v1/chat/completions", encode_body(PLAIN, model), sent)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    try:
        answer = json.loads(body)
        good = answer["choices"][0]["message"]["content"] and answer["usage"]["completion_tokens"]
    except (ValueError, LookupError, TypeError):
        good = False
    return "" if response.status == 200 and good else f"{response.status} {body[:200].decode(errors='replace')}"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The mock of both providers."""

    popen: subprocess.Popen[str]
    port: int

    def counts(self) -> dict[str, int]:
        """Calls answered so far, by dialect."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/counts")
        counts: dict[str, int] = json.loads(connection.getresponse().read())
        connection.close()
        return counts

    def stop(self) -> None:
        self.popen.kill()
        self.popen.communicate()


def start_upstream(program: Path, core: int) -> Upstream:
    """Start the upstream on a free port, pinned to `core`."""
    with processes.on_core(core):
        popen = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
    assert popen.stdout is not None
    return Upstream(popen, int(popen.stdout.readline()))
