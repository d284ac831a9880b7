"""Gemini's generateContent: one value that holds the dialect's functions. Model and streaming stand in the path."""

from sidecar.dialects.base import Dialect
from sidecar.dialects.gemini.envelope import beginning_of, forward, open_envelope
from sidecar.dialects.gemini.errors import decode_error, encode_error
from sidecar.dialects.gemini.models import encode_model, encode_models
from sidecar.dialects.gemini.paths import path_to
from sidecar.dialects.gemini.request import decode_request, encode_request
from sidecar.dialects.gemini.response import decode_response, encode_response, read_answer
from sidecar.dialects.gemini.stream import GeminiDecoder, GeminiEncoder
from sidecar.dialects.gemini.tap import GeminiTap

GEMINI = Dialect(
    name="gemini",
    open=open_envelope,
    forward=forward,
    decode_request=decode_request,
    beginning=beginning_of,
    encode_request=encode_request,
    read_answer=read_answer,
    decode_response=decode_response,
    encode_response=encode_response,
    new_tap=GeminiTap,
    new_decoder=GeminiDecoder,
    new_encoder=GeminiEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
    encode_models=encode_models,
    encode_model=encode_model,
    path=path_to,
)
