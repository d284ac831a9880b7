"""`:embedContent` and `:batchEmbedContents` (ai.google.dev/api/embeddings; google-genai, `EmbedContentResponse`).

Two methods with the same words: one text, or a batch of requests for one each. Targets are asked in batches.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from schemas.record import Usage
from sidecar.canonical.embeddings import EmbeddingsRequest, EmbeddingsResponse
from sidecar.canonical.model import ModelTraits
from sidecar.dialects.base import BODY_ALONE, Encoded, Envelope, InPath, PlainAnswer, beside_chat
from sidecar.dialects.estimate import TextCount, estimate_text_tokens
from sidecar.dialects.gemini import GEMINI
from sidecar.dialects.gemini.fields import Fields, camel
from sidecar.dialects.gemini.paths import method_path, resource_name
from sidecar.errors import CannotCarry, MalformedAnswer, MalformedRequest

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_REQUESTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def open_one(body: bytes, in_path: InPath = BODY_ALONE, count_text: TextCount = estimate_text_tokens) -> Envelope:
    fields = _top_level(body)
    if "content" not in Fields(fields):
        raise MalformedRequest("`content` is missing: send the text to embed as its `parts`")
    return _envelope(body, fields, in_path, count_text)


def open_batch(body: bytes, in_path: InPath = BODY_ALONE, count_text: TextCount = estimate_text_tokens) -> Envelope:
    fields = _top_level(body)
    if not any(Fields(fields).each("requests")):
        raise MalformedRequest("`requests` is missing or empty: send an array with at least one request")
    return _envelope(body, fields, in_path, count_text)


def _top_level(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _FIELDS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"the body must be a JSON object: {error}") from error


def _envelope(body: bytes, fields: dict[str, msgspec.Raw], in_path: InPath, count_text: TextCount) -> Envelope:
    if not in_path.model:
        raise MalformedRequest("the path names no model: POST /v1beta/models/<use case>:embedContent")
    return Envelope(
        body=body,
        fields=fields,
        model=in_path.model,
        stream=False,
        wants_usage=True,
        needs=frozenset({"embeddings"}),
        input_tokens=count_text(body),
        max_output_tokens=0,
        metadata={},
    )


def forward_one(envelope: Envelope, model: str) -> bytes:
    if "model" not in envelope.fields:
        return envelope.body
    return msgspec.json.encode({**envelope.fields, "model": resource_name(model)})


def forward_batch(envelope: Envelope, model: str) -> bytes:
    """Each request of a batch names the model of the path again, and must."""
    name = next(name for name in envelope.fields if camel(name) == "requests")
    try:
        requests = _REQUESTS.decode(envelope.fields[name])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"`requests` must be an array of objects: {error}") from error
    named = [{**request, "model": resource_name(model)} for request in requests]
    return msgspec.json.encode({**envelope.fields, name: named})


def decode_one(envelope: Envelope) -> EmbeddingsRequest:
    return _decoded([Fields(envelope.fields)])


def decode_batch(envelope: Envelope) -> EmbeddingsRequest:
    return _decoded(list(Fields(envelope.fields).each("requests")))


def _decoded(requests: Sequence[Fields]) -> EmbeddingsRequest:
    """What a request says beside its content it may say in `embedContentConfig` too, which came later."""
    settings = [(request, request.fields("embedContentConfig") or Fields({})) for request in requests]
    sizes = {_whole(pair, "outputDimensionality") for pair in settings}
    if len(sizes) > 1:
        raise CannotCarry("embedding", "vectors of different sizes in one batch")
    return EmbeddingsRequest(
        inputs=tuple(_text(request) for request in requests),
        dimensions=sizes.pop(),
        tasks=tuple(_said(pair, "taskType") for pair in settings),
        titles=tuple(_said(pair, "title") for pair in settings),
    )


def _whole(places: tuple[Fields, Fields], name: str) -> int | None:
    return next((value for place in places if (value := place.whole(name)) is not None), None)


def _said(places: tuple[Fields, Fields], name: str) -> str | None:
    return next((value for place in places if (value := place.text(name)) is not None), None)


def _text(request: Fields) -> str:
    content = request.fields("content")
    if content is None:
        raise MalformedRequest(f"`{request.where or 'content'}` has no content: send the text to embed as its `parts`")
    texts = []
    for part in content.each("parts"):
        text = part.text("text")
        if text is None:
            raise CannotCarry("embedding", "something else than text to embed")
        texts.append(text)
    if len(texts) != 1:
        raise CannotCarry("embedding", "a content of no or several parts to embed as one")
    return texts[0]


def encode_batch(request: EmbeddingsRequest, model: ModelTraits) -> Encoded:
    requests: list[dict[str, object]] = []
    for place, text in enumerate(request.inputs):
        if not isinstance(text, str):
            raise CannotCarry("embedding", "token ids to embed")
        one: dict[str, object] = {"model": resource_name(model.name), "content": {"parts": [{"text": text}]}}
        if request.dimensions is not None:
            one["outputDimensionality"] = request.dimensions
        if request.tasks and request.tasks[place] is not None:
            one["taskType"] = request.tasks[place]
        if request.titles and request.titles[place] is not None:
            one["title"] = request.titles[place]
        requests.append(one)
    dropped = () if request.user is None else ("user",)
    return Encoded(msgspec.json.encode({"requests": requests}), dropped)


class _Usage(msgspec.Struct, frozen=True, rename="camel"):
    prompt_token_count: int | None = None


class _Vector(msgspec.Struct, frozen=True):
    values: tuple[float, ...]


class _One(msgspec.Struct, frozen=True, rename="camel"):
    embedding: _Vector
    usage_metadata: _Usage | None = None


class _Batch(msgspec.Struct, frozen=True, rename="camel"):
    embeddings: list[_Vector]
    usage_metadata: _Usage | None = None


class _GlanceOne(msgspec.Struct, frozen=True, rename="camel"):
    """As much of an answer as the books need: its vectors stay bytes."""

    embedding: msgspec.Raw
    usage_metadata: _Usage | None = None


class _GlanceBatch(msgspec.Struct, frozen=True, rename="camel"):
    embeddings: msgspec.Raw
    usage_metadata: _Usage | None = None


_ONE, _BATCH = msgspec.json.Decoder(_One), msgspec.json.Decoder(_Batch)
_GLANCE_ONE, _GLANCE_BATCH = msgspec.json.Decoder(_GlanceOne), msgspec.json.Decoder(_GlanceBatch)


def read_one(body: bytes) -> PlainAnswer:
    return PlainAnswer("", _usage(_answer(_GLANCE_ONE, body).usage_metadata))


def read_batch(body: bytes) -> PlainAnswer:
    return PlainAnswer("", _usage(_answer(_GLANCE_BATCH, body).usage_metadata))


def decode_answer_one(body: bytes) -> EmbeddingsResponse:
    answer = _answer(_ONE, body)
    return EmbeddingsResponse(vectors=(answer.embedding.values,), usage=_usage(answer.usage_metadata))


def decode_answer_batch(body: bytes) -> EmbeddingsResponse:
    answer = _answer(_BATCH, body)
    vectors = tuple(vector.values for vector in answer.embeddings)
    return EmbeddingsResponse(vectors=vectors, usage=_usage(answer.usage_metadata))


_T = TypeVar("_T")


def _answer(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer(f"the answer holds no embeddings: {error}") from error


def _usage(usage: _Usage | None) -> Usage | None:
    return None if usage is None or usage.prompt_token_count is None else Usage(input_tokens=usage.prompt_token_count)


def encode_answer_one(response: EmbeddingsResponse) -> bytes:
    if len(response.vectors) != 1:
        raise MalformedAnswer("the answer holds no or several embeddings for one text")
    return _encoded({"embedding": {"values": response.vectors[0]}}, response.usage)


def encode_answer_batch(response: EmbeddingsResponse) -> bytes:
    return _encoded({"embeddings": [{"values": vector} for vector in response.vectors]}, response.usage)


def _encoded(out: dict[str, object], usage: Usage | None) -> bytes:
    if usage is not None:
        out["usageMetadata"] = {"promptTokenCount": usage.input_tokens, "totalTokenCount": usage.input_tokens}
    return msgspec.json.encode(out)


GEMINI_ONE = beside_chat(
    GEMINI,
    open=open_one,
    forward=forward_one,
    decode_request=decode_one,
    encode_request=encode_batch,
    read_answer=read_one,
    decode_response=decode_answer_one,
    encode_response=encode_answer_one,
    path=lambda model, _stream: method_path(model, "embedContent"),
)

GEMINI_BATCH = beside_chat(
    GEMINI,
    open=open_batch,
    forward=forward_batch,
    decode_request=decode_batch,
    encode_request=encode_batch,
    read_answer=read_batch,
    decode_response=decode_answer_batch,
    encode_response=encode_answer_batch,
    path=lambda model, _stream: method_path(model, "batchEmbedContents"),
)
