"""The vendors' own SDKs, asked as the frameworks are."""

import json
from typing import Any

import anthropic
import openai
from google.genai import errors as google_errors

from tests.blackbox.agents import AnthropicAgent, Heard, OpenAIAgent, ResponsesAgent
from tests.blackbox.gemini_agent import GeminiAgent
from tests.blackbox.kits.kit import TOOL_RESULT, Failure, Settings, ToolUse

AGENTS: dict[str, Any] = {
    "openai-chat": OpenAIAgent,
    "openai-responses": ResponsesAgent,
    "anthropic": AnthropicAgent,
    "google-genai": GeminiAgent,
}


class OfficialKit:
    def __init__(self, settings: Settings, name: str) -> None:
        self._agent = AGENTS[name](settings.url, settings.key, limit=settings.limit)

    def plain(self, model: str, question: str) -> str:
        return str(self._agent.plain(model, question).text)

    def streamed(self, model: str, question: str) -> str:
        return str(self._agent.streamed(model, question).text)

    def use_tool(self, model: str, question: str, *, stream: bool) -> ToolUse:
        ask = self._agent.streamed if stream else self._agent.plain
        asked: Heard = ask(model, question, "tool")
        if not asked.calls:
            return ToolUse(None, asked.text)
        told = self._agent.answer_tools(model, question, asked, TOOL_RESULT, stream=stream)
        return ToolUse(asked.calls[0].arguments, told.text)

    def structured(self, model: str, question: str) -> Any:
        return json.loads(self._agent.plain(model, question, "schema").text)

    def leave_early(self, model: str, question: str) -> str:
        return str(self._agent.leave_early(model, question)[1])

    def failure(self, error: Exception) -> Failure:
        kind = type(error).__name__
        match error:
            case anthropic.APIError():
                body: Any = error.body
                inner = body["error"] if isinstance(body, dict) else {}
                return Failure(kind, getattr(error, "status_code", None), inner.get("code"), str(error))
            case openai.APIError():
                return Failure(kind, getattr(error, "status_code", None), error.code, str(error))
            case google_errors.APIError():
                said: Any = error.details
                reason = said["error"]["details"][0]["reason"]
                return Failure(kind, error.code, reason, str(error))
            case AssertionError() if "the stream ended with" in str(error):
                # The Responses API ends a broken stream with an event of its own; its SDK hands it over as any other.
                code = str(error).partition("code='")[2].partition("'")[0]
                return Failure("response.failed", None, code or None, str(error))
        raise AssertionError(f"{kind} is none of the SDK's errors") from error

    def close(self) -> None:
        self._agent.client.close()
