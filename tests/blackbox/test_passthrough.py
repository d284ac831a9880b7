"""Images, audio, files, batches and moderations by the official SDK: every byte arrives, both ways."""

from collections.abc import Iterator
from decimal import Decimal

import openai
import pytest

from tests.fakes import bundles, wire
from tests.fakes.endpoints import SOUND, EndpointsFake, endpoints_fake
from tests.fakes.processes import eventually
from tests.fakes.sidecar import SidecarProcess, StartSidecar

KEY = "sk-provider-0123456789"
UPLOAD = bytes(range(256)) * 4096
"""A megabyte: more than one piece."""


@pytest.fixture(scope="module")
def fake() -> Iterator[EndpointsFake]:
    with endpoints_fake() as made:
        yield made


@pytest.fixture(scope="module")
def sidecar(start_sidecar: StartSidecar, fake: EndpointsFake) -> SidecarProcess:
    rules = bundles.bundle(
        {
            "anthropic": bundles.provider("anthropic", f"{fake.url}/anthropic"),
            "openai": bundles.provider("openai", fake.url, key_env="KEY"),
        },
        {
            "a-model": bundles.model("anthropic", name="a-1"),
            "o-model": bundles.model("openai", name="o-1", price=None),
            "heard": bundles.model("openai", name="o-2", price=None),
        },
        {
            "media": bundles.use_case("a-model", "o-model", aliases=("gpt-image-*", "tts-1")),
            "claude": bundles.use_case("a-model"),
            "talks": bundles.use_case("heard", aliases=("whisper-9*",)),
        },
    )
    return start_sidecar(rules, environment={"KEY": KEY}, options=["--use-case", "media", "--max-body", "65536"])


@pytest.fixture
def client(sidecar: SidecarProcess, fake: EndpointsFake) -> Iterator[openai.OpenAI]:
    fake.clear()
    with openai.OpenAI(base_url=f"{sidecar.url}/v1", api_key="sk-agents-own", max_retries=0) as made:
        yield made


@pytest.mark.parametrize(("model", "sent"), [("gpt-image-9", "o-1"), ("media", "o-1"), ("some-model", "some-model")])
def test_a_model_that_names_a_use_case_becomes_the_targets(
    client: openai.OpenAI, fake: EndpointsFake, model: str, sent: str
) -> None:
    answer = client.images.generate(model=model, prompt="A railway station", size="1024x1024")
    assert answer.data is not None
    assert answer.data[0].b64_json == "AAAA"
    assert fake.last.path == "/v1/images/generations"
    assert fake.last.json == {"model": sent, "prompt": "A railway station", "size": "1024x1024"}


def test_our_key_is_shown_and_none_of_the_agents(client: openai.OpenAI, fake: EndpointsFake) -> None:
    client.moderations.create(input="Is this all right?")
    assert fake.last.headers["authorization"] == f"Bearer {KEY}"
    assert "sk-agents-own" not in str(fake.last.headers)


def test_speech_is_streamed_back_byte_for_byte(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="Mind the gap"
    ) as heard:
        assert b"".join(heard.iter_bytes()) == SOUND
        assert heard.headers["content-type"] == "audio/mpeg"
        assert (heard.headers["x-pointsman-model"], heard.headers["x-pointsman-provider"]) == ("o-model", "openai")


def test_a_form_passes_byte_for_byte_and_may_be_larger_than_a_body_that_is_held(
    client: openai.OpenAI, fake: EndpointsFake
) -> None:
    text = client.audio.transcriptions.create(model="whisper-1", file=("talk.wav", UPLOAD, "audio/wav"))
    assert text.text == "The train leaves at noon."
    assert UPLOAD in fake.last.body
    assert b'name="model"\r\n\r\nwhisper-1\r\n' in fake.last.body
    assert fake.last.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert int(fake.last.headers["content-length"]) == len(fake.last.body)


def test_an_image_is_edited(client: openai.OpenAI, fake: EndpointsFake) -> None:
    client.images.edit(model="gpt-image-9", image=("a.png", b"\x89PNG", "image/png"), prompt="Add a train")
    assert (fake.last.path, b"\x89PNG" in fake.last.body) == ("/v1/images/edits", True)
    assert b'name="model"\r\n\r\no-1\r\n' in fake.last.body


MODEL = b'--x-0123\r\ncontent-disposition: form-data; name="model"\r\n\r\nwhisper-9-large\r\n'
TALK = b'--x-0123\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n%b\r\n'


@pytest.mark.parametrize(
    ("before", "after", "use_case"),
    [
        (b"", TALK % UPLOAD, "talks"),
        (TALK % b"short", b"", "talks"),
        # A model behind more than is held is not read: the default stands, and the form stays as it is.
        (TALK % UPLOAD, b"", "media"),
    ],
)
def test_a_forms_model_chooses_the_use_case_and_becomes_the_targets(
    client: openai.OpenAI, fake: EndpointsFake, sidecar: SidecarProcess, before: bytes, after: bytes, use_case: str
) -> None:
    whole = before + MODEL + after + b"--x-0123--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=x-0123"}
    reply = wire.post(f"{sidecar.url}/v1/audio/transcriptions", whole, headers)
    assert (reply.status, reply.headers["x-pointsman-use-case"]) == (200, use_case)
    sent = whole.replace(b"whisper-9-large", b"o-2") if use_case == "talks" else whole
    assert fake.last.body == sent
    assert int(fake.last.headers["content-length"]) == len(sent)


def test_files_and_batches_by_their_ids(client: openai.OpenAI, fake: EndpointsFake, sidecar: SidecarProcess) -> None:
    before = len(sidecar.records())
    uploaded = client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
    assert client.files.retrieve(uploaded.id).filename == "a.jsonl"
    assert client.files.content(uploaded.id).read() == b"\x00raw\xff"
    assert client.files.list(limit=2).data == []
    assert fake.last.path == "/v1/files?limit=2"
    assert client.files.delete(uploaded.id).deleted
    assert fake.last.method == "DELETE"
    assert len(sidecar.records()) == before
    batch = client.batches.create(input_file_id="file-1", endpoint="/v1/embeddings", completion_window="24h")
    assert client.batches.retrieve(batch.id).status == "completed"
    client.batches.cancel(batch.id)
    assert fake.last.path == "/v1/batches/b-1/cancel"


def test_what_is_billed_is_booked_as_of_unknown_price(client: openai.OpenAI, sidecar: SidecarProcess) -> None:
    raw = client.images.with_raw_response.generate(model="media", prompt="A station")
    assert "x-pointsman-cost-usd" not in raw.headers
    record = sidecar.record(raw.headers["x-pointsman-request-id"])
    assert (record.outcome, record.model, record.status) == ("ok", "o-model", 200)
    assert (record.usage, record.cost_usd, record.wasted_usd) == (None, None, Decimal(0))
    assert eventually(lambda: 'pointsman_unpriced_calls_total{use_case="media",model="o-model"' in sidecar.metrics())


def test_a_refusal_comes_back_as_the_provider_said_it(
    client: openai.OpenAI, fake: EndpointsFake, sidecar: SidecarProcess
) -> None:
    fake.failing = {"/images/generations"}
    with pytest.raises(openai.InternalServerError) as failed:
        client.images.generate(model="media", prompt="A station")
    assert failed.value.body == {"message": "out of order", "type": "server_error"}
    record = sidecar.record(failed.value.response.headers["x-pointsman-request-id"])
    assert (record.outcome, record.status, record.cost_usd) == ("server_fault", 500, None)


@pytest.mark.parametrize(
    ("use_case", "status", "code"), [("claude", 422, "dialect"), ("no-one", 404, "unknown_use_case")]
)
def test_where_no_target_speaks_it_the_caller_is_told(
    client: openai.OpenAI, fake: EndpointsFake, use_case: str, status: int, code: str
) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.files.list(extra_headers={"x-pointsman-use-case": use_case})
    assert refused.value.status_code == status
    assert refused.value.code == code
    assert fake.received == []


def test_an_id_is_no_way_to_another_path(client: openai.OpenAI, fake: EndpointsFake) -> None:
    with pytest.raises(openai.NotFoundError):
        client.get("/files/..%2Fmodels", cast_to=object)
    assert fake.received == []
