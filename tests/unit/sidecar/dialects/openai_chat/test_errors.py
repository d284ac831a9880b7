"""Refusals to our error tree, and our errors in OpenAI's shape."""

import json
from collections.abc import Callable

import httpx2 as httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.openai_chat import OPENAI_CHAT
from sidecar.errors import (
    CannotCarry,
    CeilingSpent,
    ChainSpent,
    ContentRefused,
    ContextTooLong,
    CredentialRefused,
    ForeignHost,
    GatewayError,
    MalformedAnswer,
    MalformedRequest,
    ModelGone,
    NotReady,
    Overloaded,
    Rejected,
    ServerFault,
    StreamStalled,
    Throttled,
    Unauthenticated,
    UnknownUseCase,
    UpstreamError,
)

Golden = Callable[[str, str], bytes]


def refusal(transcript: bytes) -> UpstreamError:
    head, _, body = transcript.partition(b"\n\n")
    status, *lines = head.decode().split("\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return OPENAI_CHAT.decode_error(int(status.split()[1]), headers, body.strip())


@pytest.mark.parametrize(
    ("case", "kind", "retry_after_seconds", "said"),
    [
        ("bad_request", Rejected, None, "Use 'max_completion_tokens' instead."),
        ("context_length", ContextTooLong, None, "maximum context length is 4097 tokens"),
        ("deepseek_context", ContextTooLong, None, "maximum context length is 131072 tokens"),
        ("llama_cpp_context", ContextTooLong, None, "exceeds the available context size (512 tokens)"),
        ("azure_content_filter", ContentRefused, None, "content management policy"),
        ("bad_key", CredentialRefused, None, "the provider answered 401 (invalid_api_key)"),
        ("country", CredentialRefused, None, "403 (unsupported_country_region_territory)"),
        ("no_model", ModelGone, None, "the provider answered 404 (model_not_found)"),
        ("no_access", ModelGone, None, "the provider answered 403 (model_not_found)"),
        ("rate_limit", Throttled, 0.25, "the provider answered 429 (rate_limit_exceeded)"),
        ("rate_limit_date", Throttled, 30.0, "the provider answered 429 (slow_down)"),
        ("quota", Throttled, None, "the provider answered 429 (insufficient_quota)"),
        ("out_of_money", Throttled, None, "the provider answered 402"),
        ("server_error", ServerFault, None, "the provider answered 500 (server_error)"),
        ("overloaded", Overloaded, 5.0, "the provider answered 503 (server_is_overloaded)"),
        ("html_gateway", ServerFault, None, "the provider answered 502"),
        ("fastapi_detail", Rejected, None, "messages: field required"),
        ("timeout", ServerFault, None, "the provider answered 408"),
        ("llama_cpp_messages", Rejected, None, "Expected 'messages' to be an array"),
        ("llama_cpp_no_vision", ServerFault, None, "the provider answered 500 (server_error)"),
    ],
)
def test_a_refusal_is_told_for_what_it_is(
    case: str, kind: type[UpstreamError], retry_after_seconds: float | None, said: str, golden: Golden
) -> None:
    error = refusal(golden("errors", f"{case}.http"))
    assert type(error) is kind
    assert error.retry_after_seconds == retry_after_seconds
    assert said in error.message
    assert "sk-" not in error.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (401, CredentialRefused),
        (403, CredentialRefused),
        (404, ModelGone),
        (408, ServerFault),
        (409, ServerFault),
        (413, Rejected),
        (418, Rejected),
        (422, Rejected),
        (429, Throttled),
        (500, ServerFault),
        (502, ServerFault),
        (503, Overloaded),
        (504, ServerFault),
        (529, Overloaded),
        (302, MalformedAnswer),
    ],
)
def test_a_status_alone_decides_where_the_body_says_nothing(status: int, kind: type[UpstreamError]) -> None:
    for body in (b"", b"<html>", b"{}", b"[]", b'{"error": 5}', b'{"error": {"code": 5}}', b"\xff"):
        error = OPENAI_CHAT.decode_error(status, {}, body)
        assert type(error) is kind
        assert error.upstream_status == status


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "no sk-abcdefgh"}}',
        b'{"error": "no sk-abcdefgh"}',
        b'{"message": "no sk-abcdefgh", "type": "invalid"}',
        b'{"detail": "no sk-abcdefgh"}',
    ],
)
def test_a_provider_s_own_message_is_passed_on_masked_wherever_it_stands(body: bytes) -> None:
    assert OPENAI_CHAT.decode_error(400, {}, body).message == "no [masked]"


@given(st.integers(300, 599), st.binary(max_size=40))
def test_any_refusal_becomes_an_error_of_our_tree(status: int, body: bytes) -> None:
    assert isinstance(OPENAI_CHAT.decode_error(status, {}, body), UpstreamError)


OURS: list[tuple[GatewayError, str, str]] = [
    (MalformedRequest("`messages` is empty"), "malformed_request", "invalid_request_error"),
    (Unauthenticated("no key"), "unauthenticated", "authentication_error"),
    (CeilingSpent("spent"), "ceiling_spent", "insufficient_quota"),
    (ForeignHost("no"), "foreign_host", "permission_error"),
    (UnknownUseCase("no such use case"), "unknown_use_case", "not_found_error"),
    (CannotCarry("audio", "audio"), "cannot_carry", "invalid_request_error"),
    (NotReady("no rules yet"), "not_ready", "service_unavailable_error"),
    (ChainSpent("all failed", status=502, code="provider_auth"), "provider_auth", "server_error"),
    (StreamStalled("silence"), "stream_stalled", "server_error"),
]


@pytest.mark.parametrize(("error", "code", "kind"), OURS)
def test_our_error_reads_as_openai_s_own(error: GatewayError, code: str, kind: str) -> None:
    assert json.loads(OPENAI_CHAT.encode_error(error, "req-1")) == {
        "error": {"message": error.message, "type": kind, "param": None, "code": code, "request_id": "req-1"}
    }


def client_of(status: int, body: bytes, content_type: str) -> openai.OpenAI:
    transport = httpx.MockTransport(
        lambda request: httpx.Response(status, content=body, headers={"content-type": content_type})
    )
    return openai.OpenAI(
        api_key="x", base_url="http://127.0.0.1/v1", max_retries=0, http_client=httpx.Client(transport=transport)
    )


def test_the_official_sdk_raises_our_error_with_its_code() -> None:
    error = UnknownUseCase("no use case `suport`; did you mean `support`?")
    with (
        client_of(404, OPENAI_CHAT.encode_error(error, "req-1"), "application/json") as client,
        pytest.raises(openai.NotFoundError) as raised,
    ):
        client.chat.completions.create(model="suport", messages=[{"role": "user", "content": "x"}])
    assert raised.value.code == "unknown_use_case"
    assert "did you mean" in raised.value.message


def test_the_official_sdk_raises_an_error_inside_a_stream() -> None:
    body = OPENAI_CHAT.new_tap(True, lambda _usage: None).encode_failure(StreamStalled("silence for 30 s"), "req-1")
    assert b"[DONE]" not in body
    with client_of(200, body, "text/event-stream") as client:
        stream = client.chat.completions.create(
            model="support", messages=[{"role": "user", "content": "x"}], stream=True
        )
        with pytest.raises(openai.APIError, match="silence for 30 s") as raised:
            list(stream)
    assert raised.value.code == "stream_stalled"


def test_the_models_are_listed_as_the_official_sdk_reads_them() -> None:
    body = OPENAI_CHAT.encode_models([("support", "pointsman"), ("gpt-5", "openai")], 1_790_000_000)
    with client_of(200, body, "application/json") as client:
        models = client.models.list().data
    assert [(model.id, model.owned_by, model.created, model.object) for model in models] == [
        ("support", "pointsman", 1_790_000_000, "model"),
        ("gpt-5", "openai", 1_790_000_000, "model"),
    ]
