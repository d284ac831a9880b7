"""Pydantic AI by the three APIs that its prefixes `openai:`, `openai-chat:` and `anthropic:` stand for."""

import asyncio
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.blackbox.kits.kit import TOOL_RESULT, Failure, Settings, ToolUse

ABLE = ModelProfile(supports_json_schema_output=True)
"""It knows models by their names, and a use case's is none of them."""


class Forecast(BaseModel):
    model_config = ConfigDict(extra="forbid")

    city: Literal["Oslo", "Rome", "Lima"]
    days: int


class PydanticKit:
    def __init__(self, settings: Settings, api: str) -> None:
        self._api = api
        self._limit = settings.limit
        self._runner = asyncio.Runner()
        self._provider: Any = (
            AnthropicProvider(base_url=settings.url, api_key=settings.key)
            if api == "anthropic"
            else OpenAIProvider(base_url=f"{settings.url}/v1", api_key=settings.key)
        )

    def plain(self, model: str, question: str) -> str:
        return str(self._run(self._agent(model).run(question)).output)

    def streamed(self, model: str, question: str) -> str:
        return str(self._run(self._stream(self._agent(model), question)))

    def use_tool(self, model: str, question: str, *, stream: bool) -> ToolUse:
        agent = self._agent(model)
        given: list[Any] = []

        @agent.tool_plain
        def weather(city: str, days: int) -> str:
            given.append({"city": city, "days": days})
            return TOOL_RESULT

        text = self._run(self._stream(agent, question)) if stream else self._run(agent.run(question)).output
        return ToolUse(given[0] if given else None, text)

    def structured(self, model: str, question: str) -> Any:
        agent = self._agent(model, output_type=NativeOutput(Forecast, name="forecast", strict=True))
        return self._run(agent.run(question)).output.model_dump()

    def leave_early(self, model: str, question: str) -> str:
        async def leave() -> str:
            async with self._agent(model).run_stream(question) as run:
                async for text in run.stream_text(delta=True, debounce_by=None):
                    await run.cancel()
                    return text
            raise AssertionError("the stream held no text")

        return str(self._run(leave()))

    def failure(self, error: Exception) -> Failure:
        assert isinstance(error, ModelAPIError), f"{type(error).__name__} is none of the SDK's errors"
        if not isinstance(error, ModelHTTPError):
            return Failure(type(error).__name__, None, None, str(error))
        body: Any = error.body
        said = body.get("error", body)
        return Failure(type(error).__name__, error.status_code, said.get("code"), str(error))

    def close(self) -> None:
        self._runner.run(self._provider.client.close())
        self._runner.close()

    async def _stream(self, agent: Agent[None, Any], question: str) -> str:
        async with agent.run_stream(question) as run:
            return "".join([text async for text in run.stream_text(delta=True, debounce_by=None)])

    def _agent(self, model: str, **options: Any) -> Agent[None, Any]:
        return Agent(self._model(model), model_settings={"max_tokens": self._limit}, **options)

    def _model(self, model: str) -> Model:
        if self._api == "anthropic":
            return AnthropicModel(model, provider=self._provider, profile=ABLE)
        kind = OpenAIResponsesModel if self._api == "openai" else OpenAIChatModel
        return kind(model, provider=self._provider)

    def _run(self, work: Any) -> Any:
        return self._runner.run(work)
