"""Anthropic Messages: one value that holds the dialect's functions."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from sidecar.dialects.anthropic.envelope import beginning_of, forward, open_envelope
from sidecar.dialects.anthropic.errors import decode_error, encode_error
from sidecar.dialects.anthropic.request import decode_request, encode_request
from sidecar.dialects.anthropic.response import decode_response, encode_response, read_answer
from sidecar.dialects.anthropic.stream import AnthropicDecoder, AnthropicEncoder
from sidecar.dialects.anthropic.tap import AnthropicTap
from sidecar.dialects.base import Dialect


class _Model(msgspec.Struct, frozen=True, tag_field="type", tag="model"):
    id: str
    display_name: str
    created_at: str
    lifecycle: str = "active"


class _Models(msgspec.Struct, frozen=True):
    data: list[_Model]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


def encode_models(models: Iterable[tuple[str, str]], created: int) -> bytes:
    """A models list (anthropic SDK, `model_info`). It has no field for an owner."""
    at = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    data = [_Model(id=name, display_name=name, created_at=at) for name, _ in models]
    ids = [model.id for model in data]
    return msgspec.json.encode(_Models(data, ids[0] if ids else None, ids[-1] if ids else None))


ANTHROPIC = Dialect(
    name="anthropic",
    open=open_envelope,
    forward=forward,
    decode_request=decode_request,
    beginning=beginning_of,
    encode_request=encode_request,
    read_answer=read_answer,
    decode_response=decode_response,
    encode_response=encode_response,
    new_tap=AnthropicTap,
    new_decoder=AnthropicDecoder,
    new_encoder=AnthropicEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
    encode_models=encode_models,
    path=lambda _model, _stream: "/v1/messages",
    forwarded_headers=frozenset({"anthropic-version", "anthropic-beta"}),
)
