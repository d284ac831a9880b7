"""Code that Google ran, in requests and answers: what ran and what it printed are two parts, and one here
(google-genai, `ExecutableCode`, `CodeExecutionResult`).
"""

from collections.abc import Iterable

import msgspec

from sidecar.canonical.request import AnyPart, ServerCall

_FAILED = frozenset({"OUTCOME_FAILED", "OUTCOME_DEADLINE_EXCEEDED"})


class _Code(msgspec.Struct, frozen=True):
    code: str = ""
    id: str | None = None


class _Result(msgspec.Struct, frozen=True):
    outcome: str = ""
    output: str | None = None


_CODE = msgspec.json.Decoder(_Code)
_RESULT = msgspec.json.Decoder(_Result)


def decode_code(raw: bytes | msgspec.Raw) -> ServerCall:
    """Raises msgspec.DecodeError."""
    code = _CODE.decode(raw)
    return ServerCall(id=code.id or "", tool="code_execution", input=code.code)


def decode_result(raw: bytes | msgspec.Raw) -> ServerCall:
    """What a call becomes when it `gave` this. Raises msgspec.DecodeError."""
    result = _RESULT.decode(raw)
    is_error = result.outcome in _FAILED
    return ServerCall(id="", tool="code_execution", input="", output=result.output or "", is_error=is_error)


def gave(call: ServerCall, result: ServerCall) -> ServerCall:
    return msgspec.structs.replace(call, output=result.output, is_error=result.is_error)


def paired(parts: Iterable[AnyPart]) -> list[AnyPart]:
    """Each result with the code that stands before it."""
    made: list[AnyPart] = []
    for part in parts:
        last = made[-1] if made else None
        if isinstance(part, ServerCall) and part.output is not None and isinstance(last, ServerCall):
            made[-1] = gave(last, part)
        else:
            made.append(part)
    return made


def encode_code(call: ServerCall, *, with_id: bool) -> list[dict[str, object]]:
    named: dict[str, object] = {"id": call.id} if with_id else {}
    parts: list[dict[str, object]] = [{"executableCode": {"language": "PYTHON", "code": call.input} | named}]
    if call.output is not None:
        outcome = "OUTCOME_FAILED" if call.is_error else "OUTCOME_OK"
        parts.append({"codeExecutionResult": {"outcome": outcome, "output": call.output} | named})
    return parts
