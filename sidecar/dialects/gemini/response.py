"""Answers of generateContent ↔ the canonical form. A streamed answer is made of the same documents, so what reads one
reads both: `ChunkReader` (google-genai, `GenerateContentResponse`, `Candidate`, `FinishReason`).
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from sidecar.canonical.events import (
    AnyEvent,
    Finished,
    ReasoningDelta,
    ReasoningRedacted,
    ReasoningSigned,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
    collect,
)
from sidecar.canonical.request import AnyPart, Reasoning, RedactedReasoning, Refusal, Text, ToolCall
from sidecar.canonical.response import ChatResponse, FinishReason
from sidecar.dialects.base import PlainAnswer
from sidecar.dialects.gemini.errors import Said
from sidecar.dialects.gemini.signatures import SKIP, unwrap, wrap, wrap_redacted
from sidecar.dialects.gemini.usage import WireUsage, decode_usage, encode_usage
from sidecar.dialects.redact import redact
from sidecar.errors import CannotCarry, ContentRefused, MalformedAnswer, StreamFailed

ABSENT = msgspec.Raw()
"""A field that is not there. (msgspec reads no `Raw | None`.)"""

MALFORMED_ARGUMENTS = "malformed_arguments"
"""`args` must be an object: arguments that are none are carried as the text in this field, so that the model sees what
it wrote."""

_UNSPECIFIED = ("", "FINISH_REASON_UNSPECIFIED")

FINISHES: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "ESCALATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
}

_BROKEN_OFF = frozenset(
    {
        "OTHER",
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
        "IMAGE_OTHER",
        "NO_IMAGE",
        "PUP_LIMITED_DISABLED",
    }
)
"""The model or its provider gave up: no answer that a caller could use, and another target may have one."""

_FINISHES_OUT: dict[FinishReason, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "pause": "MAX_TOKENS",  # the answer is not whole, and this is the word that says so
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
}


def encode_finish(finish: FinishReason, is_refusal: bool) -> str:
    """OpenAI ends a refusal with `stop` and says it by the part."""
    return "SAFETY" if is_refusal and finish == "stop" else _FINISHES_OUT[finish]


class WireCall(msgspec.Struct, frozen=True):
    name: str = ""
    args: msgspec.Raw = ABSENT
    id: str | None = None


class WirePart(msgspec.Struct, frozen=True, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: WireCall | None = None
    inline_data: msgspec.Raw = ABSENT
    file_data: msgspec.Raw = ABSENT
    executable_code: msgspec.Raw = ABSENT
    code_execution_result: msgspec.Raw = ABSENT
    tool_call: msgspec.Raw = ABSENT
    tool_response: msgspec.Raw = ABSENT

    @property
    def own_kind(self) -> str | None:
        """The name of content that no other dialect has a place for."""
        return next((name for name in _OWN_KINDS if len(memoryview(getattr(self, name)))), None)


_OWN_KINDS = (
    "inline_data",
    "file_data",
    "executable_code",
    "code_execution_result",
    "tool_call",
    "tool_response",
)


class WireContent(msgspec.Struct, frozen=True):
    parts: list[WirePart] | None = None


class WireCandidate(msgspec.Struct, frozen=True, rename="camel"):
    content: WireContent | None = None
    finish_reason: str | None = None
    index: int | None = None


class WireFeedback(msgspec.Struct, frozen=True, rename="camel"):
    block_reason: str | None = None


class Chunk(msgspec.Struct, frozen=True, rename="camel"):
    """A whole answer, or a piece of a streamed one."""

    candidates: list[WireCandidate] | None = None
    prompt_feedback: WireFeedback | None = None
    usage_metadata: WireUsage | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Said | None = None


_CHUNK = msgspec.json.Decoder(Chunk)


def parse_chunk(data: bytes) -> Chunk:
    """
    Raises:
        StreamFailed: the provider's own error in place of an answer.
        MalformedAnswer: not a document of this API.
    """
    try:
        chunk = _CHUNK.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer(f"the provider's answer is not Gemini's: {error}") from error
    if chunk.error is not None:
        said = f"{chunk.error.status}: {chunk.error.message}" if chunk.error.status else chunk.error.message
        raise StreamFailed(redact(f"the provider broke the answer off: {said or 'no reason given'}"))
    return chunk


def refusal_of(chunk: Chunk) -> ContentRefused | None:
    """The prompt was blocked: there are no candidates, and there will be none."""
    reason = None if chunk.prompt_feedback is None else chunk.prompt_feedback.block_reason
    if reason is None or reason == "BLOCKED_REASON_UNSPECIFIED" or chunk.candidates:
        return None
    return ContentRefused(redact(f"the provider blocked the prompt: {reason}"))


def finish_word(candidate: WireCandidate) -> str | None:
    """
    Raises:
        StreamFailed: the answer broke off.
    """
    word = candidate.finish_reason
    if word in _BROKEN_OFF:
        raise StreamFailed(f"the provider broke the answer off: finish reason {word}")
    return None if word is None or word in _UNSPECIFIED else word


class ChunkReader:
    """Documents to events, in the order that they came. Holds per candidate how many calls it has made."""

    def __init__(self) -> None:
        self._started = False
        self._calls: dict[int, int] = {}
        self.finished: set[int] = set()

    @property
    def is_whole(self) -> bool:
        return bool(self.finished) and self._calls.keys() <= self.finished

    def read(self, chunk: Chunk, out: list[AnyEvent]) -> None:
        """Adds to `out` what the document says, also when it ends in an error.

        Raises:
            ContentRefused: the prompt was blocked.
            StreamFailed: a candidate broke off.
            MalformedAnswer: content that no other dialect has a place for.
        """
        if not self._started:
            self._started = True
            out.append(Started(id=chunk.response_id or "", model=chunk.model_version or ""))
        # Gemini repeats the running total in every chunk; the last one counts.
        if (usage := decode_usage(chunk.usage_metadata)) is not None:
            out.append(UsageReported(usage))
        if (refusal := refusal_of(chunk)) is not None:
            raise refusal
        for place, candidate in enumerate(chunk.candidates or ()):
            index = place if candidate.index is None else candidate.index
            self._candidate(candidate, index, chunk.response_id or "", out)

    def _candidate(self, candidate: WireCandidate, index: int, answer: str, out: list[AnyEvent]) -> None:
        if index in self.finished:
            return
        self._calls.setdefault(index, 0)
        parts = None if candidate.content is None else candidate.content.parts
        for part in parts or ():
            self._part(part, index, answer, out)
        word = finish_word(candidate)
        if word is not None:
            self.finished.add(index)
            # A reason that was added later than the table ends the turn all the same.
            finish = FINISHES.get(word, "stop")
            calls_made = finish == "stop" and self._calls[index] > 0
            out.append(Finished("tool_calls" if calls_made else finish, choice=index))

    def _part(self, part: WirePart, index: int, answer: str, out: list[AnyEvent]) -> None:
        if part.function_call is not None:
            self._call(part.function_call, index, answer, out)
        elif part.thought:
            _thought(part, index, out)
        elif part.text is not None:
            if part.text:
                out.append(TextDelta(part.text, index))
        elif part.own_kind is not None:
            raise MalformedAnswer(f"the provider's answer holds {part.own_kind}, which only Gemini's dialect can carry")

    def _call(self, call: WireCall, index: int, answer: str, out: list[AnyEvent]) -> None:
        if not call.name:
            raise MalformedAnswer("the provider's answer has a function call without a name")
        count = self._calls[index]
        self._calls[index] += 1
        arguments = bytes(call.args).decode() if len(memoryview(call.args)) else "{}"
        name = call.id or _call_id(answer, index, count, call.name, arguments)
        out.append(ToolCallStarted(count, name, call.name, index))
        out.append(ToolArgumentsDelta(count, "{}" if arguments == "null" else arguments, index))


def _thought(part: WirePart, index: int, out: list[AnyEvent]) -> None:
    match unwrap(part.text or "", part.thought_signature):
        case RedactedReasoning(data=data):
            out.append(ReasoningRedacted(data, index))
        case Reasoning(text=text, signature=signature):
            if text:
                out.append(ReasoningDelta(text, index))
            if signature is not None:
                out.append(ReasoningSigned(signature, index))


def _call_id(answer: str, choice: int, index: int, name: str, arguments: str) -> str:
    """For a call without an id: the same one each time, and of no other call in a conversation."""
    said = "\0".join((answer, str(choice), str(index), name, arguments))
    return f"call_{hashlib.sha256(said.encode()).hexdigest()[:24]}"


def read_answer(body: bytes) -> PlainAnswer:
    chunk = _parse_answer(body)
    for candidate in chunk.candidates or ():
        _finish_of_answer(candidate)
    return PlainAnswer(model=chunk.model_version or "", usage=decode_usage(chunk.usage_metadata))


def decode_response(body: bytes) -> ChatResponse:
    chunk = _parse_answer(body)
    whole = [msgspec.structs.replace(each, finish_reason=_finish_of_answer(each)) for each in chunk.candidates or ()]
    events: list[AnyEvent] = []
    ChunkReader().read(msgspec.structs.replace(chunk, candidates=whole), events)
    return collect(events)


def _finish_of_answer(candidate: WireCandidate) -> str:
    """A plain answer is whole, whether it says why or not."""
    try:
        return finish_word(candidate) or "STOP"
    except StreamFailed as error:
        raise MalformedAnswer(error.message) from error


def _parse_answer(body: bytes) -> Chunk:
    try:
        chunk = parse_chunk(body)
    except StreamFailed as error:
        raise MalformedAnswer(error.message) from error
    if (refusal := refusal_of(chunk)) is not None:
        raise refusal
    if not chunk.candidates:
        raise MalformedAnswer("the provider's answer has no candidates")
    return chunk


def encode_response(response: ChatResponse) -> bytes:
    body: dict[str, object] = {
        "candidates": [
            candidate(
                index,
                list(encode_answer_parts(choice.parts)),
                encode_finish(choice.finish, any(isinstance(part, Refusal) for part in choice.parts)),
            )
            for index, choice in enumerate(response.choices)
        ]
    }
    if response.usage is not None:
        body["usageMetadata"] = encode_usage(response.usage)
    return msgspec.json.encode(body | {"modelVersion": response.model, "responseId": response.id})


def candidate(index: int, parts: Sequence[object], finish: str | None = None) -> dict[str, object]:
    made: dict[str, object] = {"content": {"parts": parts, "role": "model"}}
    if finish is not None:
        made["finishReason"] = finish
    return made | {"index": index}


def encode_answer_parts(parts: Iterable[AnyPart]) -> Iterable[dict[str, object]]:
    calls = 0
    for part in parts:
        match part:
            case Text(text=text) | Refusal(text=text):
                yield {"text": text}
            case Reasoning(text=text, signature=signature):
                yield thought_part(text, signature)
            case RedactedReasoning(data=data):
                yield redacted_part(data)
            case ToolCall():
                yield call_part(part, is_first=calls == 0)
                calls += 1
            case _:
                raise CannotCarry(f"{type(part).__name__.lower()} in an answer")


def thought_part(text: str, signature: str | None) -> dict[str, object]:
    part: dict[str, object] = {"text": text, "thought": True}
    return part if signature is None else part | {"thoughtSignature": wrap(signature)}


def redacted_part(data: str) -> dict[str, object]:
    return {"text": "", "thought": True, "thoughtSignature": wrap_redacted(data)}


def call_part(call: ToolCall, *, is_first: bool) -> dict[str, object]:
    """The first call of a step must be signed; of parallel ones it is the only one (the page of `signatures.SKIP`)."""
    part: dict[str, object] = {
        "functionCall": {"id": call.id, "name": call.name, "args": encode_arguments(call.arguments)}
    }
    return part | {"thoughtSignature": SKIP} if is_first else part


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def is_object(text: str) -> bool:
    try:
        _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def encode_arguments(arguments: str) -> msgspec.Raw:
    if not arguments.strip():
        return msgspec.Raw(b"{}")
    if is_object(arguments):
        return msgspec.Raw(arguments.encode())
    return msgspec.Raw(msgspec.json.encode({MALFORMED_ARGUMENTS: arguments}))
