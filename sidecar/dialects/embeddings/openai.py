"""`POST /v1/embeddings` (openai SDK, `types/embedding_create_params` and `create_embedding_response`)."""

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import Annotated

import msgspec

from schemas.record import Usage
from sidecar.canonical.embeddings import EmbeddingsRequest, EmbeddingsResponse, Encoding, Input
from sidecar.canonical.model import ModelTraits
from sidecar.dialects.base import BODY_ALONE, Encoded, Envelope, InPath, PlainAnswer, beside_chat
from sidecar.dialects.estimate import TextCount, estimate_text_tokens
from sidecar.dialects.openai_chat import OPENAI_CHAT
from sidecar.dialects.openai_chat.envelope import forward
from sidecar.errors import CannotCarry, MalformedAnswer, MalformedRequest

Vector = tuple[float, ...]

FLOAT_BYTES = 4


class _Request(msgspec.Struct, frozen=True):
    model: Annotated[str, msgspec.Meta(min_length=1)]
    input: str | list[str | int | list[int]]
    encoding_format: Encoding | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1)] | None = None
    user: str | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def open_envelope(body: bytes, in_path: InPath = BODY_ALONE, count_text: TextCount = estimate_text_tokens) -> Envelope:
    """
    Raises:
        MalformedRequest: names the field and what would be right.
    """
    request = _read(body)
    inputs = _inputs(request.input)
    fields = _FIELDS.decode(body)
    tokens = sum(len(given) for given in inputs if not isinstance(given, str))
    has_text = any(isinstance(given, str) for given in inputs)
    return Envelope(
        body=body,
        fields=fields,
        model=request.model,
        stream=False,
        wants_usage=True,
        needs=frozenset({"embeddings"}),
        input_tokens=count_text(bytes(fields["input"])) if has_text else tokens,
        max_output_tokens=0,
        metadata={},
    )


def _read(body: bytes) -> _Request:
    try:
        return _REQUEST.decode(body)
    except msgspec.ValidationError as error:
        raise MalformedRequest(f"not an embeddings request: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"the body is not valid JSON: {error}") from error


def _inputs(given: str | list[str | int | list[int]]) -> tuple[Input, ...]:
    """A text, some texts, the tokens of one, or the tokens of some: never a mixture."""
    if isinstance(given, str):
        return (given,)
    if not given:
        raise MalformedRequest("`input` is empty: send a text, or an array with at least one")
    texts = [entry for entry in given if isinstance(entry, str)]
    numbers = [entry for entry in given if isinstance(entry, int)]
    arrays = [tuple(entry) for entry in given if isinstance(entry, list)]
    if len(given) not in (len(texts), len(numbers), len(arrays)):
        raise MalformedRequest("`input` must be a text, an array of texts, or token ids: not a mixture of them")
    return tuple(texts) or ((tuple(numbers),) if numbers else tuple(arrays))


def encoding_of(fields: Mapping[str, msgspec.Raw]) -> Encoding:
    """As asked for; decimal numbers where nothing is said, and in a dialect that knows nothing else."""
    raw = fields.get("encoding_format")
    return "base64" if raw is not None and msgspec.json.decode(raw) == "base64" else "float"


def decode_request(envelope: Envelope) -> EmbeddingsRequest:
    request = _read(envelope.body)
    return EmbeddingsRequest(inputs=_inputs(request.input), dimensions=request.dimensions, user=request.user)


def encode_request(request: EmbeddingsRequest, model: ModelTraits) -> Encoded:
    """A title is a part of what is embedded, and has no place here; a task is a knob.

    Asked for in decimal numbers: not every server that calls itself compatible knows base64.
    """
    if any(title is not None for title in request.titles):
        raise CannotCarry("embedding", "a title beside a text to embed")
    out: dict[str, object] = {"input": request.inputs, "model": model.name, "encoding_format": "float"}
    if request.dimensions is not None:
        out["dimensions"] = request.dimensions
    if request.user is not None:
        out["user"] = request.user
    dropped = ("taskType",) if any(task is not None for task in request.tasks) else ()
    return Encoded(msgspec.json.encode(out), dropped)


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None


class _Glance(msgspec.Struct, frozen=True):
    """As much of an answer as the books need: its vectors stay bytes."""

    data: msgspec.Raw
    model: str = ""
    usage: _Usage | None = None


class _Embedding(msgspec.Struct, frozen=True):
    embedding: tuple[float, ...] | str
    index: int


class _Whole(msgspec.Struct, frozen=True):
    data: list[_Embedding]
    model: str = ""
    usage: _Usage | None = None


_GLANCE, _WHOLE = msgspec.json.Decoder(_Glance), msgspec.json.Decoder(_Whole)


def read_answer(body: bytes) -> PlainAnswer:
    try:
        seen = _GLANCE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer(f"the answer is no list of embeddings: {error}") from error
    if not bytes(seen.data).startswith(b"["):
        raise MalformedAnswer("the answer is no list of embeddings: `data` is no array")
    return PlainAnswer(seen.model, _usage(seen.usage))


def _usage(usage: _Usage | None) -> Usage | None:
    return None if usage is None or usage.prompt_tokens is None else Usage(input_tokens=usage.prompt_tokens)


def decode_response(body: bytes) -> EmbeddingsResponse:
    try:
        whole = _WHOLE.decode(body)
        ordered = sorted(whole.data, key=lambda entry: entry.index)
        vectors = tuple(_vector(entry.embedding) for entry in ordered)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, binascii.Error, struct.error) as error:
        raise MalformedAnswer(f"the answer is no list of embeddings: {error}") from error
    return EmbeddingsResponse(vectors=vectors, model=whole.model, usage=_usage(whole.usage))


def _vector(embedding: Vector | str) -> Vector:
    if not isinstance(embedding, str):
        return embedding
    raw = base64.b64decode(embedding, validate=True)
    return struct.unpack(f"<{len(raw) // FLOAT_BYTES}f", raw)


def encode_response(response: EmbeddingsResponse) -> bytes:
    """Usage is left out where it is unknown: a zero would be a lie."""
    data = [
        {"object": "embedding", "index": index, "embedding": _written(vector, response.encoding)}
        for index, vector in enumerate(response.vectors)
    ]
    out: dict[str, object] = {"object": "list", "data": data, "model": response.model}
    if response.usage is not None:
        tokens = response.usage.input_tokens
        out["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode(out)


def _written(vector: Vector, encoding: Encoding) -> Vector | str:
    if encoding == "float":
        return vector
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    except OverflowError as error:
        raise MalformedAnswer("the answer holds a number that is no 32-bit float") from error


OPENAI_EMBEDDINGS = beside_chat(
    OPENAI_CHAT,
    open=open_envelope,
    forward=forward,
    decode_request=decode_request,
    encode_request=encode_request,
    read_answer=read_answer,
    decode_response=decode_response,
    encode_response=encode_response,
    path=lambda _model, _stream: "/embeddings",
)
