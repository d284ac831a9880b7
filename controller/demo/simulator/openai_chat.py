"""OpenAI Chat Completions as a server speaks it: request in, completion or chunks out, and OpenAI's error bodies.

Shapes are those of the official SDK's `types/chat`. Custom (free text) tools and `n` above 1 are not simulated.
`reasoning_content` is what DeepSeek and vLLM add; OpenAI itself only counts reasoning tokens.
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from controller.demo.simulator.answers import Ask, Finish, Tool, ToolCall, pieces
from controller.demo.simulator.dialect import Frame, FrameKind, Prompt, Refused, Reply, Usage, new_id
from controller.demo.simulator.prompt_cache import PromptCache, Segment
from controller.demo.simulator.tokens import DOCUMENT_TOKENS, IMAGE_TOKENS, MESSAGE_TOKENS, count_tokens

PROMPT_BASE_TOKENS = 3
OBFUSCATION_STEP = 16

FINISH_REASONS = {
    Finish.DONE: "stop",
    Finish.STOP_SEQUENCE: "stop",
    Finish.MAX_TOKENS: "length",
    Finish.TOOL_CALLS: "tool_calls",
    Finish.REFUSAL: "stop",
}

ERRORS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Invalid request (simulated)."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    413: ("invalid_request_error", None, "The request is too large (simulated)."),
    422: ("invalid_request_error", None, "Unprocessable request (simulated)."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached (simulated). Please try again later."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
}


class Function(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class ToolDefinition(msgspec.Struct):
    type: str = "function"
    function: Function | None = None


class Named(msgspec.Struct):
    name: str


class AllowedTool(msgspec.Struct):
    function: Named | None = None


class AllowedTools(msgspec.Struct):
    mode: str
    tools: list[AllowedTool]


class ToolChoice(msgspec.Struct):
    type: str
    function: Named | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchema(msgspec.Struct):
    schema: dict[str, Any] | None = None


class ResponseFormat(msgspec.Struct):
    type: str
    json_schema: JsonSchema | None = None


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Message(msgspec.Struct):
    role: str
    content: str | list[dict[str, Any]] | None = None


class ChatRequest(msgspec.Struct):
    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    tools: list[ToolDefinition] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None


class OpenAIChat:
    name = "openai"
    request_id_header = "x-request-id"

    def new_request_id(self) -> str:
        return f"req_{uuid.uuid4().hex}"

    def identified(self, error: dict[str, Any], request_id: str) -> dict[str, Any]:
        return error

    def read(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> Prompt:
        if not isinstance(body.get("model"), str):
            raise Refused(400, self.error(400, "you must provide a model parameter"))
        if "messages" not in body:
            raise Refused(400, _missing("messages"))
        try:
            request = msgspec.convert(body, ChatRequest)
        except msgspec.ValidationError as error:
            raise Refused(400, self.error(400, f"Invalid type: {error}")) from error
        options = request.stream_options or StreamOptions()
        return Prompt(
            ask=_ask(request),
            segments=_segments(body),
            base_tokens=PROMPT_BASE_TOKENS,
            usage_in_stream=options.include_usage is True,
            obfuscates=options.include_obfuscation is not False,
        )

    def use_cache(self, cache: PromptCache, prompt: Prompt) -> Usage:
        use = cache.use_implicit(prompt.ask.model, prompt.segments)
        return Usage(prompt.input_tokens, 0, cache_read_tokens=use.read_tokens)

    def whole(self, reply: Reply) -> dict[str, Any]:
        answer = reply.answer
        refused = answer.finish is Finish.REFUSAL
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if refused or answer.calls else answer.text,
            "refusal": answer.text if refused else None,
            "annotations": [],
        }
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        if answer.calls:
            message["tool_calls"] = [_tool_call(call) for call in answer.calls]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": FINISH_REASONS[answer.finish]}
        body = _envelope(reply, "chat.completion") | {"choices": [choice]}
        if reply.usage is not None:
            body["usage"] = _usage(reply.usage)
        return body

    def frames(self, reply: Reply) -> Sequence[Frame]:
        writer = _ChunkWriter(reply)
        answer = reply.answer
        opening: dict[str, Any] = {"role": "assistant", "content": None if answer.calls else "", "refusal": None}
        frames = [writer.chunk(FrameKind.OPENING, opening)]
        for part in pieces(answer.reasoning, reply.chunks):
            frames.append(writer.chunk(FrameKind.CONTENT, {"reasoning_content": part}))
        spoken = "refusal" if answer.finish is Finish.REFUSAL else "content"
        for part in pieces(answer.text, reply.chunks):
            frames.append(writer.chunk(FrameKind.CONTENT, {spoken: part}))
        for index, call in enumerate(answer.calls):
            started = _tool_call(ToolCall(call.name, ""))
            frames.append(writer.chunk(FrameKind.CONTENT, {"tool_calls": [{"index": index, **started}]}))
            for part in pieces(call.arguments, reply.chunks):
                delta = {"tool_calls": [{"index": index, "function": {"arguments": part}}]}
                frames.append(writer.chunk(FrameKind.CONTENT, delta))
        frames.append(writer.chunk(FrameKind.FINISH, {}, FINISH_REASONS[answer.finish]))
        if writer.reports_usage:
            frames.append(writer.usage_chunk())
        frames.append(Frame(FrameKind.END, b"data: [DONE]\n\n"))
        return frames

    def error(self, status: int, message: str | None = None, code: str | None = None) -> dict[str, Any]:
        kind, usual_code, usual_message = ERRORS.get(status) or ERRORS[500 if status >= 500 else 400]
        return _error(message or usual_message, kind, code or usual_code)

    def error_frame(self) -> bytes:
        return _data(self.error(500))

    def broken_frame(self) -> bytes:
        return b'data: {"id": "chatcmpl-broken", "choices": [{"delta": {"content"\n\n'

    def wrong_key(self, key: str | None) -> dict[str, Any]:
        if not key:
            message = "You didn't provide an API key. You need to provide your API key in an Authorization header."
            return _error(message, "invalid_request_error", None)
        shown = f"{key[:2]}***{key[-2:]}" if len(key) > 8 else "***"
        message = (
            f"Incorrect API key provided: {shown}. You can find your API key at"
            " https://platform.openai.com/account/api-keys."
        )
        return _error(message, "invalid_request_error", "invalid_api_key")

    def bad_json(self) -> dict[str, Any]:
        return _error("We could not parse the JSON body of your request.", "invalid_request_error", None)

    def unknown_model(self, model: str) -> dict[str, Any]:
        message = f"The model `{model}` does not exist or you do not have access to it."
        return _error(message, "invalid_request_error", "model_not_found")


class _ChunkWriter:
    """The chunks of one stream: they share id, time and model."""

    def __init__(self, reply: Reply) -> None:
        self.usage = reply.usage
        self.reports_usage = reply.usage is not None and reply.prompt.usage_in_stream
        self._envelope = _envelope(reply, "chat.completion.chunk")
        self._obfuscates = reply.prompt.obfuscates

    def chunk(self, kind: FrameKind, delta: dict[str, Any], finish_reason: str | None = None) -> Frame:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        body = self._envelope | {"choices": [choice]}
        if self.reports_usage:
            body["usage"] = None
        if self._obfuscates:
            body["obfuscation"] = "x" * (-len(msgspec.json.encode(delta)) % OBFUSCATION_STEP)
        return Frame(kind, _data(body))

    def usage_chunk(self) -> Frame:
        usage = None if self.usage is None else _usage(self.usage)
        return Frame(FrameKind.USAGE, _data(self._envelope | {"choices": [], "usage": usage}), reports_usage=True)


def _ask(request: ChatRequest) -> Ask:
    questions = [message for message in request.messages if message.role == "user"]
    turn = request.messages[_last_turn(request.messages) :]
    defined = [Tool(t.function.name, t.function.parameters or {}) for t in request.tools or () if t.function]
    tools, must_call = _tool_choice(tuple(defined), request.tool_choice)
    limits = [limit for limit in (request.max_completion_tokens, request.max_tokens) if limit is not None]
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    return Ask(
        model=request.model,
        question=_text(questions[-1].content) if questions else "",
        streamed=bool(request.stream),
        images=sum(_count(message.content, "image_url") for message in request.messages),
        tools=tools,
        tool_results=tuple(_text(message.content) for message in turn if message.role == "tool"),
        must_call=must_call,
        may_call_several=request.parallel_tool_calls is not False,
        output_schema=_output_schema(request.response_format),
        reasons=request.reasoning_effort not in (None, "none"),
        stops=tuple(stops),
        max_tokens=min(limits, default=None),
    )


def _last_turn(messages: Sequence[Message]) -> int:
    """Where the caller's last turn begins: behind the last assistant message."""
    return max((at + 1 for at, message in enumerate(messages) if message.role == "assistant"), default=0)


def _tool_choice(tools: tuple[Tool, ...], choice: str | ToolChoice | None) -> tuple[tuple[Tool, ...], bool]:
    """The tools that may be called, and whether one must be."""
    if isinstance(choice, ToolChoice):
        if choice.allowed_tools is not None:
            names = [tool.function.name for tool in choice.allowed_tools.tools if tool.function]
            return tuple(tool for tool in tools if tool.name in names), choice.allowed_tools.mode == "required"
        wanted = choice.function.name if choice.function else None
        return tuple(tool for tool in tools if tool.name == wanted), True
    return (() if choice == "none" else tools), choice == "required"


def _output_schema(wanted: ResponseFormat | None) -> Mapping[str, Any] | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.json_schema is not None and wanted.json_schema.schema is not None:
        return wanted.json_schema.schema
    return {"type": "object", "properties": {"answer": {"type": "string"}}}


def _segments(body: Mapping[str, Any]) -> tuple[Segment, ...]:
    segments = []
    if body.get("tools"):
        tools = msgspec.json.encode(body["tools"])
        segments.append(Segment(tools, count_tokens(tools.decode())))
    for message in body["messages"]:
        segments.append(Segment(msgspec.json.encode(message), _message_tokens(message)))
    return tuple(segments)


def _message_tokens(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    calls = message.get("tool_calls")
    tokens = MESSAGE_TOKENS + count_tokens(_text(content))
    tokens += IMAGE_TOKENS * _count(content, "image_url")
    tokens += DOCUMENT_TOKENS * (_count(content, "file") + _count(content, "input_audio"))
    return tokens + (count_tokens(msgspec.json.encode(calls).decode()) if calls else 0)


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(str(part.get("text", "")) for part in content if part.get("type") == "text")


def _count(content: str | list[dict[str, Any]] | None, kind: str) -> int:
    return sum(part.get("type") == kind for part in content) if isinstance(content, list) else 0


def _envelope(reply: Reply, kind: str) -> dict[str, Any]:
    model = reply.prompt.ask.model
    return {
        "id": new_id("chatcmpl-", 29),
        "object": kind,
        "created": reply.created,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": f"fp_{hashlib.sha256(model.encode()).hexdigest()[:10]}",
    }


def _tool_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": new_id("call_", 24), "type": "function", "function": function}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _error(message: str, kind: str, code: str | None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _missing(param: str) -> dict[str, Any]:
    message = f"Missing required parameter: '{param}'."
    return _error(message, "invalid_request_error", "missing_required_parameter", param)


def _data(body: Mapping[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\n\n"
