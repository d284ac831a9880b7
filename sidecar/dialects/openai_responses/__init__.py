"""OpenAI Responses: the dialect that OpenAI's own SDKs, and many agent frameworks, speak by default."""

from sidecar.dialects.base import Dialect
from sidecar.dialects.openai_chat.models import encode_model, encode_models
from sidecar.dialects.openai_responses.encoder import ResponsesStreamEncoder
from sidecar.dialects.openai_responses.envelope import beginning_of, forward, open_envelope
from sidecar.dialects.openai_responses.errors import decode_error, encode_error
from sidecar.dialects.openai_responses.request import decode_request, encode_request
from sidecar.dialects.openai_responses.response import decode_response, encode_response, read_answer
from sidecar.dialects.openai_responses.stream import ResponsesStreamDecoder
from sidecar.dialects.openai_responses.tap import ResponsesTap

OPENAI_RESPONSES = Dialect(
    name="openai-responses",
    open=open_envelope,
    forward=forward,
    decode_request=decode_request,
    beginning=beginning_of,
    encode_request=encode_request,
    read_answer=read_answer,
    decode_response=decode_response,
    encode_response=encode_response,
    new_tap=ResponsesTap,
    new_decoder=ResponsesStreamDecoder,
    new_encoder=ResponsesStreamEncoder,
    decode_error=decode_error,
    encode_error=encode_error,
    encode_models=encode_models,
    encode_model=encode_model,
    path=lambda _model, _stream: "/responses",
    # Not openai-organization and openai-project: they belong to the credential, and an agent's would not fit ours.
    forwarded_headers=frozenset({"openai-beta", "x-client-request-id"}),
)
