"""Google's own SDK as an agent of these tests, with the same methods as the others."""

import base64
from collections.abc import Iterable
from typing import Any

from google import genai
from google.genai import types

from schemas.record import Usage
from tests.blackbox.agents import MAX_TOKENS, NO_KEY, PIXEL, WEATHER, Called, Heard

FINISHES = {"STOP": "done", "MAX_TOKENS": "length", "SAFETY": "refused"}


class GeminiAgent:
    """Its SDK shows no field that it does not know: the cost of a stream is not among what it hears."""

    dialect = "gemini"
    path = "/v1beta/models/{model}:generateContent"
    end_mark = b'"finishReason"'

    def __init__(self, url: str, key: str = NO_KEY, *, limit: int = MAX_TOKENS) -> None:
        self.limit = limit
        self.client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))

    def plain(self, model: str, question: str, wish: str = "text", **more: Any) -> Heard:
        request = {"contents": self._contents(question, wish), "config": self._config(wish), **more}
        return self._heard([self.client.models.generate_content(model=model, **request)])

    def streamed(self, model: str, question: str, wish: str = "text", **more: Any) -> Heard:
        request = {"contents": self._contents(question, wish), "config": self._config(wish), **more}
        return self._heard(self.client.models.generate_content_stream(model=model, **request))

    def leave_early(self, model: str, question: str) -> tuple[str, str]:
        stream = self.client.models.generate_content_stream(model=model, contents=question)
        for answer in stream:
            if answer.text:
                headers = answer.sdk_http_response.headers
                stream.close()
                return headers["x-pointsman-request-id"], answer.text
        raise AssertionError("the stream held no text")

    def answer_tools(self, model: str, question: str, heard: Heard, result: str, *, stream: bool) -> Heard:
        results = [
            types.Part(
                function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": result})
            )
            for call in heard.calls
        ]
        contents = [
            types.Content(role="user", parts=[types.Part(text=question)]),
            types.Content(role="model", parts=heard.turn),
            types.Content(role="user", parts=results),
        ]
        method = self.streamed if stream else self.plain
        return method(model, question, "tool", contents=contents)

    def body(self, model: str, question: str, *, stream: bool) -> dict[str, Any]:
        return {"contents": [{"role": "user", "parts": [{"text": question}]}]}

    def _contents(self, question: str, wish: str) -> Any:
        if wish != "image":
            return question
        return [question, types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png")]

    def _config(self, wish: str) -> types.GenerateContentConfig:
        function = types.FunctionDeclaration(name="weather", parameters_json_schema=WEATHER)
        wishes: dict[str, dict[str, Any]] = {
            "tool": {"tools": [types.Tool(function_declarations=[function])]},
            "schema": {"response_mime_type": "application/json", "response_json_schema": WEATHER},
            "reasoning": {"thinking_config": types.ThinkingConfig(include_thoughts=True, thinking_level="LOW")},
        }
        return types.GenerateContentConfig(max_output_tokens=self.limit, **wishes.get(wish, {}))

    def _heard(self, answers: Iterable[types.GenerateContentResponse]) -> Heard:
        parts: list[types.Part] = []
        headers: Any = {}
        finish, usage = "", None
        for answer in answers:
            headers = answer.sdk_http_response.headers
            usage = answer.usage_metadata or usage
            for candidate in answer.candidates or ():
                parts += (candidate.content and candidate.content.parts) or []
                finish = candidate.finish_reason.value if candidate.finish_reason else finish
        assert usage is not None, "no usage was reported"
        calls = tuple(
            Called(part.function_call.id, part.function_call.name, part.function_call.args)
            for part in parts
            if part.function_call
        )
        return Heard(
            text="".join(part.text for part in parts if part.text and not part.thought),
            finish="tools" if calls else FINISHES[finish],
            usage=Usage(
                input_tokens=usage.prompt_token_count,
                output_tokens=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
                cache_read_tokens=usage.cached_content_token_count or 0,
                reasoning_tokens=usage.thoughts_token_count or 0,
            ),
            cost_usd=headers.get("x-pointsman-cost-usd"),
            headers=headers,
            calls=calls,
            reasoning="".join(part.text for part in parts if part.text and part.thought),
            turn=parts,
        )
