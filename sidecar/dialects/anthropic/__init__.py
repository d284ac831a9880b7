"""Anthropic Messages: one value that holds the dialect's functions."""

from sidecar.dialects.anthropic.envelope import beginning_of, forward, open_envelope
from sidecar.dialects.anthropic.errors import decode_error, encode_error
from sidecar.dialects.anthropic.models import encode_model, encode_models
from sidecar.dialects.anthropic.request import decode_request, encode_request
from sidecar.dialects.anthropic.response import decode_response, encode_response, read_answer
from sidecar.dialects.anthropic.stream import AnthropicDecoder, AnthropicEncoder
from sidecar.dialects.anthropic.tap import AnthropicTap
from sidecar.dialects.base import Dialect

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
    encode_model=encode_model,
    path=lambda _model, _stream: "/v1/messages",
    forwarded_headers=frozenset({"anthropic-version", "anthropic-beta"}),
)
