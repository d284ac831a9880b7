"""What we write in this dialect is what the vendor's own SDK types take."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from anthropic.types import Message, ModelInfo, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from pydantic import TypeAdapter

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
