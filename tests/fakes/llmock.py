"""LLMock, a simulator of many providers that others wrote, as a process: its faults, its journal, and its verdict."""

from pathlib import Path
from typing import Any

from schemas.bundle import DialectName
from tests.fakes import wire
from tests.fakes.processes import Child

SERVE = """
import threading
from llmock.simulation import MockResponseSettings
from llmock.testing import LLMockServer
with LLMockServer(responses=MockResponseSettings(response_style="echo")) as server:
    print("READY", server.url, flush=True)
    threading.Event().wait()
"""
ECHO = "Hello! You said: "
"""Its answers begin so, and go on with the question."""
PATHS: dict[DialectName, str] = {
    "openai": "/v1",
    "openai-responses": "/v1",
    "anthropic": "/anthropic",
    "gemini": "/gemini",
}
"""Where each dialect's `base_url` is, as a rule file names it."""


class LLMockProcess:
    def __init__(self, folder: Path) -> None:
        self.child = Child.start(["-c", SERVE], log=folder / "llmock.log")
        self.url = self.child.wait_for(r"^READY (\S+)$")[1]

    def base_url(self, dialect: DialectName) -> str:
        return self.url + PATHS[dialect]

    def will(self, *behaviors: dict[str, Any]) -> None:
        """What the next requests meet, such as `{"type": "fail", "status": 429}`; once each unless it says more."""
        answer = wire.post(f"{self.url}/_llmock/scenario", {"behaviors": behaviors})
        assert answer.status == 201, answer.body

    def requests(self) -> list[dict[str, Any]]:
        """What it has served, oldest first."""
        return list(wire.get(f"{self.url}/_llmock/requests").json["requests"])

    def verdict(self) -> dict[str, Any]:
        """How its client coped with what it met: `passed`, and `findings` with a `code` and a `severity` each."""
        return dict(wire.get(f"{self.url}/_llmock/verdict").json)

    def reset(self) -> None:
        assert wire.post(f"{self.url}/_llmock/reset", {}).status == 200

    def stop(self) -> None:
        self.child.stop()
