"""What we write in this dialect is what the vendor's own SDK types take."""

import json
from collections.abc import Mapping
from pathlib import Path

import anthropic
import httpx2
import pytest
from anthropic.types import Message, ModelInfo, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import TypeAdapter

from sidecar.canonical.events import Failed, collect
from sidecar.dialects.anthropic import ANTHROPIC
from sidecar.errors import CeilingSpent, ChainSpent, GatewayError, NotReady, UnknownUseCase

GOLDEN = Path(__file__).parents[4] / "golden"


def test_models_list() -> None:
    models = json.loads(ANTHROPIC.encode_models([("customer-support", "support"), ("chat", "platform")], 1_700_000_000))
    assert [TypeAdapter(ModelInfo).validate_python(model).id for model in models["data"]] == [
        "customer-support",
        "chat",
    ]
    assert models["data"][0]["created_at"] == "2023-11-14T22:13:20Z"
    assert (models["first_id"], models["last_id"], models["has_more"]) == ("customer-support", "chat", False)


def test_one_model_alone() -> None:
    model = TypeAdapter(ModelInfo).validate_json(ANTHROPIC.encode_model("chat", "platform", 1_700_000_000))
    assert (model.id, model.lifecycle) == ("chat", "active")


def test_an_empty_models_list() -> None:
    assert json.loads(ANTHROPIC.encode_models([], 0)) == {
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (CeilingSpent("no budget"), "billing_error", "ceiling_spent"),
        (UnknownUseCase("no such use case"), "not_found_error", "unknown_use_case"),
        (NotReady("no rules yet"), "overloaded_error", "not_ready"),
        (
            ChainSpent("nothing answered", status=504, code="first_token_timeout"),
            "timeout_error",
            "first_token_timeout",
        ),
        (ChainSpent("nothing answered", status=502, code="stream_cut"), "api_error", "stream_cut"),
    ],
)
def test_our_errors_in_the_apis_shape(error: GatewayError, kind: str, code: str) -> None:
    assert json.loads(ANTHROPIC.encode_error(error, "req_1")) == {
        "type": "error",
        "error": {"type": kind, "message": error.message, "code": code, "details": {"error_code": code}},
        "request_id": "req_1",
    }


def is_counted(said: Mapping[str, object]) -> bool:
    """Where the provider reported no usage, the SDK's types have no word for it: null is what is true."""
    usage = said.get("usage")
    return not isinstance(usage, dict) or usage["output_tokens"] is not None


def made(pattern: str) -> list[Path]:
    return sorted(GOLDEN.glob(pattern))


@pytest.mark.parametrize("path", made("requests/*/*.to_anthropic.json"), ids=lambda path: path.name)
def test_a_request_from_another_dialect_is_one_of_the_sdks(path: Path) -> None:
    case = json.loads(path.read_bytes())
    if "body" in case:
        TypeAdapter(MessageCreateParamsNonStreaming).validate_python(case["body"] | {"stream": False})


@pytest.mark.parametrize("path", made("responses/*/*.to_anthropic.json"), ids=lambda path: path.name)
def test_an_answer_from_another_dialect_is_one_of_the_sdks(path: Path) -> None:
    case = json.loads(path.read_bytes())
    if "refused" not in case and is_counted(case):
        TypeAdapter(Message).validate_python(case)


@pytest.mark.parametrize("path", made("streams/*/*.to_anthropic.sse"), ids=lambda path: path.name)
def test_a_stream_from_another_dialect_is_one_of_the_sdks(path: Path) -> None:
    for block in path.read_text().removesuffix("\n\n").split("\n\n"):
        data = json.loads(block.partition("data: ")[2])
        if data["type"] != "error" and is_counted(data):
            TypeAdapter(RawMessageStreamEvent).validate_python(data)


def client(status: int, body: bytes, content_type: str) -> anthropic.Anthropic:
    """The official client, in front of bytes that we wrote."""
    answer = httpx2.Response(status, content=body, headers={"content-type": content_type})
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: answer))
    return anthropic.Anthropic(api_key="none", base_url="http://127.0.0.1", http_client=http, max_retries=0)


@pytest.mark.parametrize("path", made("streams/openai/*.to_anthropic.sse"), ids=lambda path: path.name)
def test_the_official_client_adds_a_stream_up_to_what_was_said(path: Path) -> None:
    body = path.read_bytes()
    decoder = ANTHROPIC.new_decoder()
    events = decoder.feed(body) + decoder.finish()
    said = client(200, body, "text/event-stream")
    with said.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]) as stream:
        if isinstance(events[-1], Failed):
            with pytest.raises(anthropic.APIStatusError) as failed:
                stream.get_final_message()
            assert failed.value.error_code in ("stream_cut", "stream_failed")
            return
        message = stream.get_final_message()
    expected = json.loads(ANTHROPIC.encode_response(collect(events)))
    blocks = [block.model_dump(exclude_none=True) for block in message.content]
    assert [block | {"type": block["type"]} for block in blocks] == expected["content"]
    assert message.stop_reason == expected["stop_reason"]


def test_the_official_client_finds_our_code() -> None:
    body = ANTHROPIC.encode_error(CeilingSpent("the day's budget is spent"), "req_1")
    with pytest.raises(anthropic.APIStatusError) as refused:
        client(402, body, "application/json").messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]
        )
    assert (refused.value.type, refused.value.error_code) == ("billing_error", "ceiling_spent")
    assert refused.value.api_message == "the day's budget is spent"
