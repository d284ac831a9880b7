"""LangChain's OpenAI integration, by either of that vendor's APIs."""

from typing import Any

import openai
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.blackbox.agents import WEATHER
from tests.blackbox.kits.kit import TOOL_RESULT, Failure, Settings, ToolUse

FORECAST = {"title": "forecast", "description": "The weather of a city.", **WEATHER}
TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": WEATHER}}


class LangChainKit:
    def __init__(self, settings: Settings, *, responses: bool) -> None:
        self._settings = settings
        self._responses = responses

    def plain(self, model: str, question: str) -> str:
        return self._model(model).invoke(question).text

    def streamed(self, model: str, question: str) -> str:
        return "".join(chunk.text for chunk in self._model(model).stream(question))

    def use_tool(self, model: str, question: str, *, stream: bool) -> ToolUse:
        bound = self._model(model).bind_tools([TOOL])
        turns: list[Any] = [HumanMessage(question)]
        asked = self._ask(bound, turns, stream=stream)
        if not asked.tool_calls:
            return ToolUse(None, asked.text)
        turns += [asked, *(ToolMessage(TOOL_RESULT, tool_call_id=call["id"]) for call in asked.tool_calls)]
        return ToolUse(asked.tool_calls[0]["args"], self._ask(bound, turns, stream=stream).text)

    def structured(self, model: str, question: str) -> Any:
        return self._model(model).with_structured_output(FORECAST, method="json_schema", strict=True).invoke(question)

    def leave_early(self, model: str, question: str) -> str:
        stream = self._model(model).stream(question)
        for chunk in stream:
            if chunk.text:
                stream.close()  # type: ignore[attr-defined]  # a generator, which it does not say
                return chunk.text
        raise AssertionError("the stream held no text")

    def failure(self, error: Exception) -> Failure:
        if isinstance(error, ValueError) and str(error).startswith("ResponseError("):
            # So it raises the Responses API's `response.failed`.
            code = str(error).partition("code='")[2].partition("'")[0]
            return Failure("ValueError", None, code, str(error))
        assert isinstance(error, openai.APIError), f"{type(error).__name__} is none of the SDK's errors"
        return Failure(type(error).__name__, getattr(error, "status_code", None), error.code, str(error))

    def close(self) -> None:
        """Its clients are shared by all models of the process, which ends them."""

    def _ask(self, bound: Any, turns: list[Any], *, stream: bool) -> Any:
        if not stream:
            return bound.invoke(turns)
        whole: AIMessageChunk | None = None
        for chunk in bound.stream(turns):
            whole = chunk if whole is None else whole + chunk
        assert whole is not None, "the stream held nothing"
        return whole

    def _model(self, model: str) -> ChatOpenAI:
        return ChatOpenAI(
            model=model,
            base_url=f"{self._settings.url}/v1",
            api_key=SecretStr(self._settings.key),
            max_completion_tokens=self._settings.limit,
            use_responses_api=self._responses,
        )
