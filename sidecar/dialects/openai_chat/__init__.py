"""OpenAI Chat Completions: the dialect of OpenAI, and of every server that calls itself compatible with it."""

from sidecar.dialects.base import Dialect, PriceOf, StreamEncoder
from sidecar.dialects.openai_chat.envelope import beginning_of, forward, open_envelope
from sidecar.dialects.openai_chat.errors import decode_error, encode_error
from sidecar.dialects.openai_chat.models import encode_model, encode_models
from sidecar.dialects.openai_chat.request import decode_request, encode_request
from sidecar.dialects.openai_chat.response import decode_response, encode_response, read_answer
from sidecar.dialects.openai_chat.stream import ChatStreamDecoder, ChatStreamEncoder
from sidecar.dialects.openai_chat.tap import ChatTap


def _new_encoder(wants_usage: bool, price_of: PriceOf, input_tokens: int) -> StreamEncoder:
    """Chat names usage at the end alone: it needs no estimate of the input."""
    return ChatStreamEncoder(wants_usage, price_of)


OPENAI_CHAT = Dialect(
    name="openai",
    open=open_envelope,
    forward=forward,
    decode_request=decode_request,
    beginning=beginning_of,
    encode_request=encode_request,
    read_answer=read_answer,
    decode_response=decode_response,
    encode_response=encode_response,
    new_tap=ChatTap,
    new_decoder=ChatStreamDecoder,
    new_encoder=_new_encoder,
    decode_error=decode_error,
    encode_error=encode_error,
    encode_models=encode_models,
    encode_model=encode_model,
    path=lambda _model, _stream: "/chat/completions",
    # Not openai-organization and openai-project: they belong to the credential, and an agent's would not fit ours.
    forwarded_headers=frozenset({"openai-beta", "x-client-request-id"}),
)
