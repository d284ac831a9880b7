"""Embeddings by the official SDKs through one sidecar: exact numbers, whichever dialect the provider speaks."""

import base64
import struct
from collections.abc import Iterator
from decimal import Decimal

import openai
import pytest
from google import genai

from schemas.bundle import Model, Price, Served
from schemas.record import Usage
from tests.fakes import bundles
from tests.fakes.endpoints import VECTOR, EndpointsFake, endpoints_fake
from tests.fakes.sidecar import SidecarProcess, StartSidecar

PRICE = Price(since="2026-01-01", input=Decimal("0.13"), output=Decimal(0))
AS_32_BITS = list(struct.unpack("<4f", struct.pack("<4f", *VECTOR)))


@pytest.fixture(scope="module")
def fake() -> Iterator[EndpointsFake]:
    with endpoints_fake() as made:
        yield made


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, fake: EndpointsFake) -> SidecarProcess:
    doors = (
        Served(provider="first", name="e-1", prices=(PRICE,)),
        Served(provider="second", name="e-1-again", prices=(PRICE,)),
    )
    rules = bundles.bundle(
        {
            "first": bundles.provider("openai", f"{fake.url}/first", key_env="KEY"),
            "second": bundles.provider("openai", f"{fake.url}/second"),
            "google": bundles.provider("gemini", fake.url, key_env="KEY"),
            "anthropic": bundles.provider("anthropic", fake.url),
        },
        {
            "e-model": Model(
                vendor="v", context_window=8192, max_output_tokens=1, capabilities=("embeddings",), served_by=doors
            ),
            "g-model": bundles.model("google", name="g-1", price=PRICE),
            "a-model": bundles.model("anthropic", name="a-1"),
            "chat-only": bundles.model("first", name="c-1", capabilities=("tools",)),
        },
        {
            "search": bundles.use_case("e-model", "g-model", aliases=("text-embedding-3-small",)),
            "search-google": bundles.use_case("g-model", "e-model"),
            "chat": bundles.use_case("chat-only"),
            "claude": bundles.use_case("a-model"),
        },
    )
    return start_sidecar(rules, environment={"KEY": "sk-provider-0123456789"})


@pytest.fixture
def client(sidecar: SidecarProcess, fake: EndpointsFake) -> Iterator[openai.OpenAI]:
    fake.clear()
    with openai.OpenAI(base_url=f"{sidecar.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
def google(sidecar: SidecarProcess, fake: EndpointsFake) -> Iterator[genai.Client]:
    fake.clear()
    with genai.Client(api_key="none", http_options={"base_url": sidecar.url}) as made:
        yield made


@pytest.mark.parametrize("use_case", ["text-embedding-3-small", "search-google"])
@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_the_numbers_arrive_exactly(client: openai.OpenAI, use_case: str, encoding: str | None) -> None:
    """The SDK asks for base64 on its own, which holds 32-bit floats."""
    given = openai.omit if encoding is None else encoding
    answer = client.embeddings.create(model=use_case, input=["one", "two"], encoding_format=given)  # type: ignore[arg-type]
    assert [entry.index for entry in answer.data] == [0, 1]
    for entry in answer.data:
        vector = entry.embedding
        if encoding == "base64":
            vector = list(struct.unpack("<4f", base64.b64decode(vector)))
        assert list(vector) == (list(VECTOR) if encoding == "float" else pytest.approx(AS_32_BITS, rel=0, abs=0))
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (8, 8)


@pytest.mark.parametrize(("use_case", "model"), [("search", "e-model"), ("search-google", "g-model")])
def test_a_call_is_booked_with_its_tokens_and_its_price(
    client: openai.OpenAI, sidecar: SidecarProcess, use_case: str, model: str
) -> None:
    raw = client.embeddings.with_raw_response.create(model=use_case, input=["one", "two"])
    assert raw.headers["x-pointsman-model"] == model
    assert Decimal(raw.headers["x-pointsman-cost-usd"]) == Decimal("0.00000104")  # 8 × 0.13 US dollars per million
    record = sidecar.record(raw.headers["x-pointsman-request-id"])
    assert (record.outcome, record.model, record.estimated) == ("ok", model, False)
    assert record.usage == Usage(input_tokens=8)
    assert record.cost_usd == Decimal("0.00000104")


def test_google_is_asked_in_its_own_words(client: openai.OpenAI, fake: EndpointsFake) -> None:
    raw = client.embeddings.with_raw_response.create(model="search-google", input="one", dimensions=4, user="u-1")
    assert raw.headers["x-pointsman-dropped"] == "user"
    assert fake.last.path == "/v1beta/models/g-1:batchEmbedContents"
    assert fake.last.headers["x-goog-api-key"] == "sk-provider-0123456789"
    assert fake.last.json == {
        "requests": [{"model": "models/g-1", "content": {"parts": [{"text": "one"}]}, "outputDimensionality": 4}]
    }


def test_a_body_passes_through_but_for_the_model(client: openai.OpenAI, fake: EndpointsFake) -> None:
    client.embeddings.create(model="search", input=[[1, 2], [3]], encoding_format="float", extra_body={"own": [1.50]})
    assert fake.last.json == {"model": "e-1", "input": [[1, 2], [3]], "encoding_format": "float", "own": [1.5]}


def test_another_door_of_the_same_model_takes_over(client: openai.OpenAI, fake: EndpointsFake) -> None:
    fake.failing = {"/first/v1/embeddings"}
    raw = client.embeddings.with_raw_response.create(model="search", input="one")
    assert (raw.headers["x-pointsman-model"], raw.headers["x-pointsman-provider"]) == ("e-model", "second")
    assert fake.last.json["model"] == "e-1-again"


def test_never_another_model(client: openai.OpenAI, fake: EndpointsFake) -> None:
    """Its vectors would lie in another space, and nobody would notice."""
    fake.failing = {"/embeddings"}
    with pytest.raises(openai.InternalServerError) as failed:
        client.embeddings.create(model="search", input="one")
    assert not any("batchEmbedContents" in received.path for received in fake.received)
    assert "e-model@second" in failed.value.message


@pytest.mark.parametrize(
    ("use_case", "given", "status", "says"),
    [
        ("search-google", [1, 2, 3], 422, "token ids"),
        ("chat", "one", 422, "capability.embeddings"),
        ("claude", "one", 422, "dialect"),
        ("search", [], 400, "`input` is empty"),
        ("nothing", "one", 404, "unknown_use_case"),
    ],
)
def test_a_refusal_says_why(client: openai.OpenAI, use_case: str, given: object, status: int, says: str) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.embeddings.create(model=use_case, input=given)  # type: ignore[arg-type]
    assert refused.value.status_code == status
    assert says in str(refused.value.body)


@pytest.mark.parametrize("use_case", ["search", "search-google"])
def test_googles_sdk_asks_either(google: genai.Client, use_case: str) -> None:
    answer = google.models.embed_content(model=use_case, contents=["one", "two"])
    assert answer.embeddings is not None
    assert [entry.values for entry in answer.embeddings] == [list(VECTOR), list(VECTOR)]
