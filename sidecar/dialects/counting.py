"""Requests to count tokens: Anthropic's `count_tokens` and Gemini's `countTokens`. OpenAI's dialect has none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec

from sidecar.dialects.anthropic import ANTHROPIC
from sidecar.dialects.anthropic.envelope import open_count as open_anthropic
from sidecar.dialects.base import BODY_ALONE, ChatDialect, Envelope, InPath
from sidecar.dialects.estimate import TextCount, estimate_text_tokens
from sidecar.dialects.gemini import GEMINI
from sidecar.dialects.gemini.envelope import forward as forward_contents
from sidecar.dialects.gemini.envelope import open_envelope as open_contents
from sidecar.dialects.gemini.fields import camel
from sidecar.dialects.gemini.paths import method_path, resource_name


@dataclass(frozen=True, slots=True)
class Counting:
    """How one dialect asks for a count, and says one."""

    dialect: ChatDialect
    """Chat's, with another path and a request that asks for no answer."""
    encode: Callable[[int], bytes]
    """A count of tokens in the dialect's own shape."""


def _encode_anthropic(tokens: int) -> bytes:
    return msgspec.json.encode({"input_tokens": tokens})


def _encode_gemini(tokens: int) -> bytes:
    return msgspec.json.encode({"totalTokens": tokens})


_WHOLE = "generateContentRequest"
"""Stands in place of `contents` where the system's turn and the tools are to be counted too
(ai.google.dev/api/tokens)."""

_REQUEST = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _open_gemini(body: bytes, in_path: InPath = BODY_ALONE, count_text: TextCount = estimate_text_tokens) -> Envelope:
    whole = whole_request(body)
    if whole is None:
        return open_contents(body, in_path, count_text)
    inner = open_contents(bytes(whole[1]), in_path, count_text)
    return msgspec.structs.replace(inner, body=body, fields=_REQUEST.decode(body))


def whole_request(body: bytes) -> tuple[str, msgspec.Raw] | None:
    """The request inside the request, with the name that it goes by. What is no JSON is refused by whoever reads on."""
    try:
        fields: Mapping[str, msgspec.Raw] = _REQUEST.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return next(((name, value) for name, value in fields.items() if camel(name) == _WHOLE), None)


def _forward_gemini(envelope: Envelope, model: str) -> bytes:
    """A request inside the request names its model itself, and must."""
    whole = whole_request(envelope.body)
    if whole is None:
        return forward_contents(envelope, model)
    name, raw = whole
    request = {**_REQUEST.decode(raw), "model": msgspec.Raw(msgspec.json.encode(resource_name(model)))}
    return msgspec.json.encode({**envelope.fields, name: request})


ANTHROPIC_COUNT = Counting(
    replace(ANTHROPIC, open=open_anthropic, path=lambda _model, _stream: "/v1/messages/count_tokens"),
    _encode_anthropic,
)

GEMINI_COUNT = Counting(
    replace(
        GEMINI,
        open=_open_gemini,
        forward=_forward_gemini,
        path=lambda model, _stream: method_path(model, "countTokens"),
    ),
    _encode_gemini,
)
