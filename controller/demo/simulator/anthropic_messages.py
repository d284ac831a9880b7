"""Anthropic Messages as a server speaks it: request in, message or named events out, and Anthropic's error bodies.

Shapes are those of the official SDK's `types`. Server tools (web search, code execution) are not simulated.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from controller.demo.simulator.answers import Ask, Finish, Tool, pieces
from controller.demo.simulator.dialect import Frame, FrameKind, Prompt, Refused, Reply, Usage, new_id
from controller.demo.simulator.prompt_cache import PromptCache, Segment
from controller.demo.simulator.tokens import DOCUMENT_TOKENS, IMAGE_TOKENS, MESSAGE_TOKENS, count_tokens

SIGNATURE = "c2ltdWxhdGVkIHNpZ25hdHVyZQ=="
VERSION_WITHOUT_SAMPLING = "2026-10-21"  # from this API version on, sampling parameters are refused

STOP_REASONS = {
    Finish.DONE: "end_turn",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.MAX_TOKENS: "max_tokens",
    Finish.TOOL_CALLS: "tool_use",
    Finish.REFUSAL: "refusal",
}

ERRORS = {
    400: ("invalid_request_error", "Invalid request (simulated)."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the API (simulated)."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "The requested resource could not be found."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit (simulated)."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "Request timed out (simulated)."),
    529: ("overloaded_error", "Overloaded"),
}


class Message(msgspec.Struct):
    role: str
    content: str | list[dict[str, Any]]


class ToolDefinition(msgspec.Struct):
    name: str
    type: str | None = None
    input_schema: dict[str, Any] | None = None


class ToolChoice(msgspec.Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct):
    type: str
    display: str | None = None


class OutputFormat(msgspec.Struct):
    schema: dict[str, Any]


class OutputConfig(msgspec.Struct):
    format: OutputFormat | None = None


class MessagesRequest(msgspec.Struct):
    model: str
    messages: list[Message]
    max_tokens: int | None = None
    system: str | list[dict[str, Any]] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    tools: list[ToolDefinition] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None


class AnthropicMessages:
    name = "anthropic"
    request_id_header = "request-id"

    def new_request_id(self) -> str:
        return new_id("req_01", 22)

    def identified(self, error: dict[str, Any], request_id: str) -> dict[str, Any]:
        return error | {"request_id": request_id}

    def read(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> Prompt:
        for field in ("model", "messages", "max_tokens"):
            if field not in body:
                raise Refused(400, self.error(400, f"{field}: Field required"))
        if headers.get("anthropic-version", "") >= VERSION_WITHOUT_SAMPLING:
            for field in ("temperature", "top_p", "top_k"):
                if field in body:
                    raise Refused(400, self.error(400, f"{field}: Extra inputs are not permitted"))
        return self.read_countable(body)

    def read_countable(self, body: Mapping[str, Any]) -> Prompt:
        """A request without the demands of an answer, as token counting takes it."""
        try:
            request = msgspec.convert(body, MessagesRequest)
        except msgspec.ValidationError as error:
            raise Refused(400, self.error(400, str(error))) from error
        return Prompt(
            ask=_ask(request),
            segments=tuple(_segments(request, body)),
            hides_reasoning=request.thinking is not None and request.thinking.display == "omitted",
        )

    def use_cache(self, cache: PromptCache, prompt: Prompt) -> Usage:
        use = cache.use_marked(prompt.ask.model, prompt.segments)
        return Usage(
            prompt.input_tokens,
            0,
            cache_read_tokens=use.read_tokens,
            cache_write_tokens=use.write_tokens,
            cache_write_1h_tokens=use.write_1h_tokens,
        )

    def whole(self, reply: Reply) -> dict[str, Any]:
        body = _message(reply)
        body["content"] = [block for block, _ in _blocks(reply)]
        body |= _stop(reply)
        if reply.usage is not None:
            body["usage"] = _usage(reply.usage)
        return body

    def frames(self, reply: Reply) -> Sequence[Frame]:
        started = _message(reply)
        if reply.usage is not None:
            started["usage"] = _usage(reply.usage) | {"output_tokens": 1}
        frames = [_event(FrameKind.OPENING, "message_start", message=started)]
        for index, (block, deltas) in enumerate(_blocks(reply)):
            opened = _event(FrameKind.OPENING, "content_block_start", index=index, content_block=_emptied(block))
            frames.append(opened)
            if index == 0:
                frames.append(_event(FrameKind.OPENING, "ping"))
            for delta in deltas:
                frames.append(_event(FrameKind.CONTENT, "content_block_delta", index=index, delta=delta))
            frames.append(_event(FrameKind.OPENING, "content_block_stop", index=index))
        usage = {} if reply.usage is None else {"usage": _delta_usage(reply.usage)}
        finish = _event(FrameKind.FINISH, "message_delta", delta=_stop(reply), **usage)
        frames.append(Frame(finish.kind, finish.data, reports_usage=reply.usage is not None))
        frames.append(_event(FrameKind.END, "message_stop"))
        return frames

    def error(self, status: int, message: str | None = None, code: str | None = None) -> dict[str, Any]:
        kind, usual_message = ERRORS.get(status) or ERRORS[500 if status >= 500 else 400]
        error = {"type": code or kind, "message": message or usual_message}
        return {"type": "error", "error": error}

    def error_frame(self) -> bytes:
        return _event(FrameKind.CONTENT, "error", error={"type": "overloaded_error", "message": "Overloaded"}).data

    def broken_frame(self) -> bytes:
        return b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": {"text"\n\n'

    def wrong_key(self, key: str | None) -> dict[str, Any]:
        return self.error(401, None if key else "x-api-key header is required")

    def bad_json(self) -> dict[str, Any]:
        return self.error(400, "The request body is not valid JSON.")

    def unknown_model(self, model: str) -> dict[str, Any]:
        return self.error(404, f"model: {model}")


def _ask(request: MessagesRequest) -> Ask:
    last = request.messages[-1].content if request.messages else ""
    results = [block for block in _list(last) if block.get("type") == "tool_result"]
    questions = [_text(message.content) for message in request.messages if message.role == "user"]
    tools, must_call = _tool_choice(request)
    wanted = request.output_config.format if request.output_config else None
    thinking = request.thinking.type if request.thinking else None
    return Ask(
        model=request.model,
        question=questions[-1] if questions else "",
        streamed=bool(request.stream),
        images=sum(block.get("type") == "image" for message in request.messages for block in _list(message.content)),
        tools=tools,
        tool_results=tuple(_text(block.get("content") or "") for block in results),
        must_call=must_call,
        may_call_several=not (request.tool_choice and request.tool_choice.disable_parallel_tool_use),
        output_schema=wanted.schema if wanted else None,
        reasons=thinking in ("enabled", "adaptive") or (thinking == "between_tools" and bool(results)),
        stops=tuple(request.stop_sequences or ()),
        max_tokens=request.max_tokens,
    )


def _tool_choice(request: MessagesRequest) -> tuple[tuple[Tool, ...], bool]:
    """The tools that may be called, and whether one must be."""
    tools = tuple(
        Tool(tool.name, tool.input_schema or {}) for tool in request.tools or () if tool.type in (None, "custom")
    )
    choice = request.tool_choice or ToolChoice("auto")
    match choice.type:
        case "none":
            return (), False
        case "tool":
            return tuple(tool for tool in tools if tool.name == choice.name), True
        case kind:
            return tools, kind == "any"


def _segments(request: MessagesRequest, body: Mapping[str, Any]) -> list[Segment]:
    """Tools, then system, then messages: the order in which the prompt cache reads them."""
    segments = [_segment(tool, "tools", count_tokens(_canonical(tool).decode())) for tool in body.get("tools") or ()]
    segments += [_segment(block, "system", _block_tokens(block)) for block in _list(request.system or [])]
    for message in request.messages:
        for at, block in enumerate(_list(message.content)):
            tokens = _block_tokens(block) + (MESSAGE_TOKENS if at == 0 else 0)
            segments.append(_segment(block, message.role, tokens))
    whole_mark = body.get("cache_control")
    if segments and isinstance(whole_mark, Mapping):
        last = segments[-1]
        segments[-1] = Segment(last.content, last.tokens, True, whole_mark.get("ttl") == "1h")
    return segments


def _segment(block: Mapping[str, Any], place: str, tokens: int) -> Segment:
    mark = block.get("cache_control")
    for_an_hour = isinstance(mark, Mapping) and mark.get("ttl") == "1h"
    return Segment(place.encode() + _canonical(block), tokens, mark is not None, for_an_hour)


def _canonical(block: Mapping[str, Any]) -> bytes:
    """A block without its cache mark: the mark moves from turn to turn, the prompt stays the same."""
    return msgspec.json.encode({key: value for key, value in block.items() if key != "cache_control"})


def _block_tokens(block: Mapping[str, Any]) -> int:
    match block.get("type"):
        case "text":
            return count_tokens(str(block.get("text", "")))
        case "image":
            return IMAGE_TOKENS
        case "document":
            return DOCUMENT_TOKENS
        case "tool_result":
            inner = _list(block.get("content") or [])
            return sum(_block_tokens(part) for part in inner)
        case _:
            return count_tokens(_canonical(block).decode())


def _list(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(content: str | list[dict[str, Any]]) -> str:
    return "\n".join(str(block.get("text", "")) for block in _list(content) if block.get("type") == "text")


def _message(reply: Reply) -> dict[str, Any]:
    return {
        "id": new_id("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "model": reply.prompt.ask.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }


def _stop(reply: Reply) -> dict[str, Any]:
    refused = {"type": "refusal", "category": None, "explanation": None}
    return {
        "stop_reason": STOP_REASONS[reply.answer.finish],
        "stop_sequence": reply.answer.stop_sequence,
        "stop_details": refused if reply.answer.finish is Finish.REFUSAL else None,
    }


def _blocks(reply: Reply) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each content block of the answer, with the deltas that build it up in a stream."""
    answer, chunks = reply.answer, reply.chunks
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if answer.reasoning:
        thinking = "" if reply.prompt.hides_reasoning else answer.reasoning
        deltas = [{"type": "thinking_delta", "thinking": part} for part in pieces(thinking, chunks)]
        deltas.append({"type": "signature_delta", "signature": SIGNATURE})
        blocks.append(({"type": "thinking", "thinking": thinking, "signature": SIGNATURE}, deltas))
    if answer.text:
        deltas = [{"type": "text_delta", "text": part} for part in pieces(answer.text, chunks)]
        blocks.append(({"type": "text", "text": answer.text}, deltas))
    for call in answer.calls:
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ["", *pieces(call.arguments, chunks)]]
        block = {"type": "tool_use", "id": new_id("toolu_01", 22), "name": call.name, "input": _input(call.arguments)}
        blocks.append((block, deltas))
    return blocks


def _input(arguments: str) -> Any:
    """Arguments as an object; what was cut short cannot be one, and is left empty."""
    try:
        return msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return {}


def _emptied(block: Mapping[str, Any]) -> dict[str, Any]:
    empty = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {key: empty.get(key, value) for key, value in block.items()}


def _delta_usage(usage: Usage) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "input_tokens": usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        shape["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return shape


def _usage(usage: Usage) -> dict[str, Any]:
    written = {
        "ephemeral_5m_input_tokens": usage.cache_write_tokens - usage.cache_write_1h_tokens,
        "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
    }
    return _delta_usage(usage) | {"cache_creation": written, "service_tier": "standard"}


def _event(kind: FrameKind, event: str, **fields: Any) -> Frame:
    data = msgspec.json.encode({"type": event, **fields})
    return Frame(kind, b"event: " + event.encode() + b"\ndata: " + data + b"\n\n")
