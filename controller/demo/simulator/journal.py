"""The journal of a simulated provider: every request it received, how it ended, and what it reported as used.

The file, if asked for, is written at once with `os.write`: what stands in it happened, whatever was killed afterwards.
"""

import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from controller.demo.simulator.dialect import Usage

KEY_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key"})
REQUEST_ID_HEADER = "x-pointsman-request-id"
MAX_KEPT_BODY_BYTES = 64 * 1024  # images are not worth keeping twenty thousand times


class Entry(msgspec.Struct):
    """One request. Times are seconds of this machine's monotonic clock."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    """Parsed JSON; null when it was not JSON or is too long to keep (see `body_bytes`)."""
    body_bytes: int
    started: float
    model: str | None = None
    streamed: bool = False
    pointsman_request_id: str | None = None
    fault: Any = None
    ended: float | None = None
    """None: the request is still open."""
    status: int | None = None
    """None: no answer was begun."""
    chunks_sent: int = 0
    client_left: bool = False
    """The client closed the connection before the answer was complete."""
    usage: Usage | None = None
    """What was reported to the client; none: nothing was, yet or ever."""


class Journal:
    """The last requests in memory, and all of them in a file if there is one."""

    def __init__(self, kept: int, path: Path | None, name: str) -> None:
        self.entries: deque[Entry] = deque(maxlen=kept)
        self.received = 0
        self.open = 0
        self._name = name
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def begin(self, method: str, path: str, headers: Mapping[str, str], body: Any, body_bytes: int) -> Entry:
        self.received += 1
        self.open += 1
        shown = {name.lower(): value for name, value in headers.items()}
        model = body.get("model") if isinstance(body, dict) else None
        entry = Entry(
            number=self.received,
            method=method,
            path=path,
            headers={name: masked(value) if name in KEY_HEADERS else value for name, value in shown.items()},
            body=body if body_bytes <= MAX_KEPT_BODY_BYTES else None,
            body_bytes=body_bytes,
            started=time.monotonic(),
            model=model if isinstance(model, str) else None,
            streamed=isinstance(body, dict) and body.get("stream") is True,
            pointsman_request_id=shown.get(REQUEST_ID_HEADER),
        )
        self.entries.append(entry)
        self._write(entry, "start", entry.started)
        return entry

    def end(self, entry: Entry) -> None:
        self.open -= 1
        entry.ended = time.monotonic()
        result = {
            "status": entry.status,
            "chunks_sent": entry.chunks_sent,
            "client_left": entry.client_left,
            "usage": entry.usage,
            "fault": entry.fault,
        }
        self._write(entry, "end", entry.ended, **result)

    def clear(self) -> None:
        """Forgets the entries; the counter of all requests stays."""
        self.entries.clear()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, entry: Entry, event: str, at: float, **result: Any) -> None:
        if self._file is None:
            return
        line = {
            "event": event,
            "at": at,
            "simulator": self._name,
            "number": entry.number,
            "path": entry.path,
            "model": entry.model,
            "request_id": entry.pointsman_request_id,
        }
        os.write(self._file, msgspec.json.encode(line | result) + b"\n")


def masked(value: str) -> str:
    """A key with only its last four characters left; a short one with none."""
    scheme, _, key = value.rpartition(" ")
    hidden = f"***{key[-4:]}" if len(key) > 8 else "***"
    return f"{scheme} {hidden}".strip()
