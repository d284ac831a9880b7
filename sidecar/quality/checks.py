"""The checks of a quality bar: what each says of one whole answer, in canonical form, to one request.

A check that has nothing to look at gives no verdict: an answer to a call that asked for no JSON is neither valid JSON
nor not.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from schemas.bundle import QualityCheck
from sidecar.canonical.request import Audio, ChatRequest, Image, Refusal, ServerCall, Text, ToolCall
from sidecar.canonical.response import ChatResponse, Choice
from sidecar.quality.json_shape import fits

NOT_JSON = object()
LOOP_CHARACTERS = 400
LOOP_TIMES = 8
LONGEST_PASSAGE = 400
"""An answer that ends in one passage of at most so many characters, so often, over so many characters, is a loop."""


def judge(checks: Iterable[QualityCheck], request: ChatRequest, response: ChatResponse) -> Mapping[QualityCheck, bool]:
    """Whether the answer passes, by check; without those that do not apply."""
    verdicts = ((check, CHECKS[check](request, response)) for check in checks)
    return {check: verdict for check, verdict in verdicts if verdict is not None}


def _complete(_request: ChatRequest, response: ChatResponse) -> bool:
    """It says something, and was not cut off by the length that it may have."""
    return bool(response.choices) and all(
        choice.finish != "length" and (_is_refused(choice) or _says_something(choice)) for choice in response.choices
    )


def _not_refused(_request: ChatRequest, response: ChatResponse) -> bool:
    """Neither the model nor its provider's filter declined, as far as the wire says so."""
    return not any(_is_refused(choice) for choice in response.choices)


def _not_repeating(_request: ChatRequest, response: ChatResponse) -> bool | None:
    """It does not end in the same passage over and over, as a model that lost its way writes until it is cut off."""
    texts = [_text(choice) for choice in response.choices]
    return None if not any(texts) else not any(map(_ends_in_a_loop, texts))


def _json_valid(request: ChatRequest, response: ChatResponse) -> bool | None:
    """JSON was asked for, and came; by its schema, if there is one. A turn that calls tools is no answer yet."""
    if request.output is None:
        return None
    final = [choice for choice in response.choices if not _tool_calls(choice)]
    if not final:
        return None
    schema = request.output.schema
    return all(_is_json_of(choice, schema) for choice in final)


def _tool_calls_valid(request: ChatRequest, response: ChatResponse) -> bool | None:
    """Every tool that is called exists, and takes what it is given; and one is called where one must be."""
    calls = [call for choice in response.choices for call in _tool_calls(choice)]
    if not calls:
        must = request.tool_choice is not None and request.tool_choice.mode in ("required", "one")
        return False if must else None
    parameters = {tool.name: tool.parameters for tool in request.tools}
    return all(
        call.name in parameters and _fits(_parsed(call.arguments or "{}"), parameters[call.name]) for call in calls
    )


CHECKS: Mapping[QualityCheck, Callable[[ChatRequest, ChatResponse], bool | None]] = {
    "complete": _complete,
    "not_refused": _not_refused,
    "not_repeating": _not_repeating,
    "json_valid": _json_valid,
    "tool_calls_valid": _tool_calls_valid,
}


def _is_refused(choice: Choice) -> bool:
    return choice.finish in ("refusal", "content_filter") or any(isinstance(part, Refusal) for part in choice.parts)


def _says_something(choice: Choice) -> bool:
    return any(
        part.text.strip() != "" if isinstance(part, Text) else isinstance(part, ToolCall | Image | Audio | ServerCall)
        for part in choice.parts
    )


def _text(choice: Choice) -> str:
    return "".join(part.text for part in choice.parts if isinstance(part, Text))


def _ends_in_a_loop(text: str) -> bool:
    end = text[-max(LOOP_CHARACTERS, LONGEST_PASSAGE * LOOP_TIMES) :].rstrip()
    if len(end) < LOOP_CHARACTERS:
        return False
    mark = end[-LOOP_CHARACTERS // LOOP_TIMES :]  # no longer than the shortest loop's passage need be
    before = end.rfind(mark, 0, len(end) - 1)
    passage = len(end) - len(mark) - before
    if before < 0 or passage > LONGEST_PASSAGE:
        return False
    loop = end[-max(LOOP_CHARACTERS, passage * LOOP_TIMES) :]
    return len(loop) >= passage * LOOP_TIMES and loop[passage:] == loop[:-passage]


def _tool_calls(choice: Choice) -> list[ToolCall]:
    return [part for part in choice.parts if isinstance(part, ToolCall)]


def _is_json_of(choice: Choice, schema: Mapping[str, object] | None) -> bool:
    value = _parsed(_text(choice))
    return value is not NOT_JSON if schema is None else _fits(value, schema)


def _fits(value: object, schema: Mapping[str, object]) -> bool:
    return value is not NOT_JSON and fits(value, schema)


def _parsed(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return NOT_JSON
