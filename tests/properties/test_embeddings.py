"""Embeddings in every dialect: nothing is lost on the way, and any JSON gives a value or a clear refusal."""

import json
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.record import Usage
from sidecar.canonical.embeddings import EmbeddingsRequest, EmbeddingsResponse
from sidecar.canonical.model import ModelTraits
from sidecar.dialects.base import InPath
from sidecar.dialects.embeddings import GEMINI_BATCH, GEMINI_ONE, OPENAI_EMBEDDINGS, EmbeddingsDialect, complete
from sidecar.errors import CannotCarry, MalformedAnswer, MalformedRequest

HERE = InPath("m")
ALL = [OPENAI_EMBEDDINGS, GEMINI_BATCH, GEMINI_ONE]
dialects = pytest.mark.parametrize("dialect", ALL, ids=["openai", "gemini-batch", "gemini-one"])

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4).map(tuple)
tokens = st.lists(st.lists(st.integers(0, 300_000), max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)
sizes = st.none() | st.integers(1, 4096)
doubles = st.floats(allow_nan=False, allow_infinity=False)
singles = st.floats(allow_nan=False, allow_infinity=False, width=32)
usages = st.builds(Usage, input_tokens=st.integers(0, 10_000_000))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "parts", "text", "requests", "values", "embedding", "index", "title"]), inner
        )
    ),
    max_leaves=8,
)
NAMES = ["model", "input", "encoding_format", "dimensions", "content", "requests", "data", "embedding", "embeddings"]


def vectors(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[tuple[tuple[float, ...], ...]]:
    return st.lists(st.lists(numbers, max_size=5).map(tuple), min_size=1, max_size=3).map(tuple)


@given(st.builds(EmbeddingsRequest, inputs=texts | tokens, dimensions=sizes, user=st.none() | st.text(max_size=3)))
def test_a_request_comes_back_from_openais_dialect(request: EmbeddingsRequest) -> None:
    encoded = OPENAI_EMBEDDINGS.encode_request(request, ModelTraits("m", 0))
    assert OPENAI_EMBEDDINGS.decode_request(OPENAI_EMBEDDINGS.open(encoded.body)) == request


@given(texts, sizes, st.data())
def test_a_request_comes_back_from_geminis_dialect(
    inputs: tuple[str, ...], size: int | None, data: st.DataObject
) -> None:
    said = st.lists(st.none() | st.just("RETRIEVAL_QUERY"), min_size=len(inputs), max_size=len(inputs)).map(tuple)
    request = EmbeddingsRequest(inputs=inputs, dimensions=size, tasks=data.draw(said), titles=data.draw(said))
    encoded = GEMINI_BATCH.encode_request(request, ModelTraits("m", 0))
    assert GEMINI_BATCH.decode_request(GEMINI_BATCH.open(encoded.body, HERE)) == request


@pytest.mark.parametrize("dialect", [OPENAI_EMBEDDINGS, GEMINI_BATCH], ids=["openai", "gemini"])
@given(vectors(doubles), usages)
def test_decimal_numbers_come_back_bit_for_bit(
    dialect: EmbeddingsDialect, numbers: tuple[tuple[float, ...], ...], usage: Usage
) -> None:
    response = EmbeddingsResponse(vectors=numbers, usage=usage)
    body = dialect.encode_response(response)
    assert bits(dialect.decode_response(body).vectors) == bits(numbers)
    assert dialect.decode_response(body) == response
    assert dialect.read_answer(body).usage == usage


@given(vectors(singles))
def test_base64_holds_single_floats_bit_for_bit(numbers: tuple[tuple[float, ...], ...]) -> None:
    body = OPENAI_EMBEDDINGS.encode_response(EmbeddingsResponse(vectors=numbers, encoding="base64"))
    assert bits(OPENAI_EMBEDDINGS.decode_response(body).vectors) == bits(numbers)


def bits(numbers: tuple[tuple[float, ...], ...]) -> list[bytes]:
    """Tells 0.0 from -0.0."""
    return [struct.pack(f"<{len(vector)}d", *vector) for vector in numbers]


@dialects
@given(st.dictionaries(st.sampled_from(NAMES), json_values))
def test_any_json_is_a_request_or_refused(dialect: EmbeddingsDialect, body: dict[str, Any]) -> None:
    for sent in (body, {"model": "m", "input": "x", "content": {}, "requests": [{}], **body}):
        try:
            envelope = dialect.open(json.dumps(sent).encode(), HERE)
            dialect.forward(envelope, "t")
            complete(EmbeddingsResponse(vectors=()), envelope, 0)
            request = dialect.decode_request(envelope)
            for other in ALL:
                msgspec.json.decode(other.encode_request(request, ModelTraits("t", 0)).body)
        except (MalformedRequest, CannotCarry):
            continue


@dialects
@given(st.dictionaries(st.sampled_from(NAMES), json_values).map(lambda body: json.dumps(body).encode()) | st.binary())
def test_any_bytes_are_an_answer_or_malformed(dialect: EmbeddingsDialect, body: bytes) -> None:
    for read in (dialect.read_answer, dialect.decode_response):
        try:
            read(body)
        except MalformedAnswer:
            continue


def test_the_answers_of_a_provider_that_numbers_them_are_put_in_order() -> None:
    body = b'{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}'
    assert OPENAI_EMBEDDINGS.decode_response(body).vectors == ((1.0,), (2.0,))


def test_a_number_beyond_single_floats_is_not_written_as_infinity() -> None:
    with pytest.raises(MalformedAnswer):
        OPENAI_EMBEDDINGS.encode_response(EmbeddingsResponse(vectors=((1e300,),), encoding="base64"))
