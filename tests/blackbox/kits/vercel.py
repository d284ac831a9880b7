"""Vercel's AI SDK in a Node.js process: its OpenAI provider by both APIs, and its Anthropic provider."""

import json
import subprocess
from typing import Any

from tests.blackbox.agents import WEATHER
from tests.blackbox.kits.kit import TOOL_RESULT, Failure, Settings, ToolUse
from tests.fakes import node_packages


class VercelError(Exception):
    """What the SDK threw over there."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(said["message"])
        self.said = said


class VercelKit:
    def __init__(self, settings: Settings, api: str, retries: int = 0) -> None:
        """`api` is `responses`, `chat` or `messages`. Its own retries ask for no leave; none are made unless told."""
        self._given = {"api": api, "url": settings.url, "key": settings.key, "limit": settings.limit}
        self._given["retries"] = retries
        self._child = subprocess.Popen(
            ["node", "agent.mjs"],
            cwd=node_packages.installed(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def plain(self, model: str, question: str) -> str:
        return str(self._ask("plain", model, question)["text"])

    def streamed(self, model: str, question: str) -> str:
        return str(self._ask("streamed", model, question)["text"])

    def use_tool(self, model: str, question: str, *, stream: bool) -> ToolUse:
        said = self._ask("tool", model, question, schema=WEATHER, result=TOOL_RESULT, stream=stream)
        return ToolUse(said["given"], said["text"])

    def structured(self, model: str, question: str) -> Any:
        return self._ask("structured", model, question, schema=WEATHER)["value"]

    def leave_early(self, model: str, question: str) -> str:
        return str(self._ask("leave", model, question)["text"])

    def failure(self, error: Exception) -> Failure:
        assert isinstance(error, VercelError), f"{type(error).__name__} is none of the SDK's errors"
        said = error.said
        # Its Anthropic provider keeps of an error what that vendor documents; the rest stands in the body.
        body = json.loads(said["body"])["error"] if said["body"] else {}
        return Failure(said["kind"], said["status"], said["code"] or body.get("code"), said["message"])

    def close(self) -> None:
        with self._child:
            assert self._child.stdin is not None
            self._child.stdin.close()

    def _ask(self, act: str, model: str, question: str, **more: Any) -> dict[str, Any]:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps({**self._given, "act": act, "model": model, "question": question, **more}))
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        assert line, "the SDK's process has ended"
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            raise VercelError(said["error"])
        return said
