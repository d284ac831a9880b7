"""Answers of generateContent ↔ the canonical form. A streamed answer is made of the same documents, so what reads one
reads both: `ChunkReader` (google-genai, `GenerateContentResponse`, `Candidate`, `FinishReason`).
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

import msgspec

from sidecar.canonical.events import (
    AnyEvent,
    Cited,
    Finished,
    ReasoningDelta,
    ReasoningRedacted,
    ReasoningSigned,
    ServerCalled,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
    collect,
)
from sidecar.canonical.request import (
    AnyPart,
    Citation,
    Reasoning,
    RedactedReasoning,
    Refusal,
    ServerCall,
    Text,
    TokenLogprob,
    ToolCall,
)
from sidecar.canonical.response import ChatResponse, FinishReason
from sidecar.dialects.base import PlainAnswer
from sidecar.dialects.beside_text import placed
from sidecar.dialects.gemini.code import decode_code, decode_result, encode_code, gave
from sidecar.dialects.gemini.errors import Said
from sidecar.dialects.gemini.grounding import Grounding, Logprobs, encode_grounding, encode_logprobs
from sidecar.dialects.gemini.signatures import SKIP, unwrap, wrap, wrap_redacted
from sidecar.dialects.gemini.usage import WireUsage, decode_usage, encode_usage
from sidecar.dialects.kinds import kind_of
from sidecar.dialects.redact import redact
from sidecar.dialects.signatures import GEMINI_MARK
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
    grounding_metadata: Grounding | None = None
    logprobs_result: Logprobs | None = None


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
        self._said: dict[int, _Said] = {}
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
        said = self._said.get(index)
        if said is None:
            said = self._said[index] = _Said()
        if candidate.grounding_metadata is not None:
            said.grounding = said.grounding.updated(candidate.grounding_metadata)
        parts = None if candidate.content is None else candidate.content.parts
        said.begin_document()
        logprobs = () if candidate.logprobs_result is None else candidate.logprobs_result.decoded()
        for part in parts or ():
            said.begin_part()
            before = len(out)
            self._part(part, index, answer, said, logprobs, out)
            if len(out) > before and isinstance(out[-1], TextDelta):
                logprobs = ()
        word = finish_word(candidate)
        if word is not None:
            self.finished.add(index)
            self._end_text(index, answer, said, out)
            # A reason that was added later than the table ends the turn all the same.
            finish = FINISHES.get(word, "stop")
            calls_made = finish == "stop" and self._calls[index] > 0
            out.append(Finished("tool_calls" if calls_made else finish, choice=index))

    def _part(
        self,
        part: WirePart,
        index: int,
        answer: str,
        said: "_Said",
        logprobs: tuple[TokenLogprob, ...],
        out: list[AnyEvent],
    ) -> None:
        if part.text and not part.thought:
            self._end_code(index, said, out)
            said.add(part.text)
            out.append(TextDelta(part.text, index, logprobs))
            return
        kind = part.own_kind
        if kind == "code_execution_result":
            ran = _read(decode_result, part.code_execution_result)
            call = said.code or msgspec.structs.replace(ran, id=self._server_id(answer, index, said, ran))
            said.code = None
            out.append(ServerCalled(gave(call, ran), index))
            return
        self._end_code(index, said, out)
        if part.function_call is not None:
            said.end_part()
            self._call(part.function_call, index, answer, out)
        elif part.thought:
            said.end_part()
            _thought(part, index, out)
        elif kind == "executable_code":
            said.end_part()
            code = _read(decode_code, part.executable_code)
            said.code = msgspec.structs.replace(code, id=self._server_id(answer, index, said, code))
        elif kind is not None:
            raise MalformedAnswer(f"the provider's answer holds {kind}, which only Gemini's dialect can carry")

    def _server_id(self, answer: str, index: int, said: "_Said", call: ServerCall) -> str:
        said.server_calls += 1
        return GEMINI_MARK + (call.id or _call_id(answer, index, said.server_calls, call.tool, call.input))

    def _end_code(self, index: int, said: "_Said", out: list[AnyEvent]) -> None:
        """Code that ran, and nobody says what it printed."""
        if said.code is not None:
            out.append(ServerCalled(said.code, index))
            said.code = None

    def _end_text(self, index: int, answer: str, said: "_Said", out: list[AnyEvent]) -> None:
        self._end_code(index, said, out)
        out += (Cited(citation, index) for citation in said.citations())
        queries = said.grounding.web_search_queries
        if queries:
            search = ServerCall(id="", tool="web_search", input="\n".join(queries), sources=said.grounding.pages())
            name = self._server_id(answer, index, said, search)
            out.append(ServerCalled(msgspec.structs.replace(search, id=name), index))

    def _call(self, call: WireCall, index: int, answer: str, out: list[AnyEvent]) -> None:
        if not call.name:
            raise MalformedAnswer("the provider's answer has a function call without a name")
        count = self._calls[index]
        self._calls[index] += 1
        try:
            arguments = on_one_line(bytes(call.args)) if len(memoryview(call.args)) else "{}"
        except UnicodeDecodeError as error:
            raise MalformedAnswer("the provider's answer has a function call that is not UTF-8") from error
        name = call.id or _call_id(answer, index, count, call.name, arguments)
        out.append(ToolCallStarted(count, name, call.name, index))
        out.append(ToolArgumentsDelta(count, "{}" if arguments == "null" else arguments, index))


class _Said:
    """What a candidate has said so far, which its grounding counts in."""

    __slots__ = ("_begin", "_begins", "_length", "_pieces", "code", "grounding", "server_calls")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        """Characters."""
        self._begin = 0
        """The character where the last text part begins."""
        self._begins: list[int] | None = None
        """The piece where each part of the first document begins; None once another has come."""
        self.code: ServerCall | None = None
        self.server_calls = 0
        self.grounding = Grounding()

    def begin_document(self) -> None:
        self._begins = None if self._pieces else []

    def begin_part(self) -> None:
        if self._begins is not None:
            self._begins.append(len(self._pieces))

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)

    def end_part(self) -> None:
        self._begin = self._length

    def citations(self) -> list[Citation]:
        if not self.grounding.grounding_chunks:
            return []
        begins = [len("".join(self._pieces[:at]).encode(errors="replace")) for at in self._begins or ()]
        return self.grounding.citations("".join(self._pieces), begins, self._begin)


def _read(reader: Callable[[msgspec.Raw], ServerCall], raw: msgspec.Raw) -> ServerCall:
    try:
        return reader(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer(f"the provider's answer holds code that cannot be read: {error}") from error


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
                grounding=_encode_grounding(choice.parts),
                logprobs=encode_logprobs(
                    [each for part in choice.parts if isinstance(part, Text) for each in part.logprobs]
                ),
            )
            for index, choice in enumerate(response.choices)
        ]
    }
    if response.usage is not None:
        body["usageMetadata"] = encode_usage(response.usage)
    return msgspec.json.encode(body | {"modelVersion": response.model, "responseId": response.id})


def _encode_grounding(parts: Sequence[AnyPart]) -> dict[str, object]:
    cited: list[tuple[int, str, Citation]] = []
    place = 0
    for part in parts:
        if isinstance(part, Text):
            cited += ((place, part.text, placed(citation, 0, len(part.text))) for citation in part.citations)
        place += len(encode_server_call(part)) if isinstance(part, ServerCall) else 1
    return encode_grounding(cited, (part for part in parts if isinstance(part, ServerCall)))


def encode_server_call(call: ServerCall) -> list[dict[str, object]]:
    """A search is told beside the text, and not among the parts."""
    return encode_code(call, with_id=True) if call.tool == "code_execution" else []


def candidate(
    index: int,
    parts: Sequence[object],
    finish: str | None = None,
    *,
    grounding: dict[str, object] | None = None,
    logprobs: dict[str, object] | None = None,
) -> dict[str, object]:
    made: dict[str, object] = {"content": {"parts": parts, "role": "model"}}
    beside = {"finishReason": finish, "groundingMetadata": grounding, "logprobsResult": logprobs}
    made |= {name: value for name, value in beside.items() if value}
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
            case ServerCall():
                yield from encode_server_call(part)
            case ToolCall():
                yield call_part(part, is_first=calls == 0)
                calls += 1
            case _:
                raise CannotCarry(kind_of(part), f"{type(part).__name__.lower()} in an answer")


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


def on_one_line(args: bytes) -> str:
    """Google indents its plain answers; a model of another vendor would learn to write its arguments so.

    Raises:
        UnicodeDecodeError: it is no UTF-8.
    """
    return (msgspec.json.format(args, indent=-1) if b"\n" in args else args).decode()


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
