"""Our errors in Google's shape, and refusals that no transcript holds."""

import json

import pytest
from google.genai import errors as google_errors

from sidecar.dialects.gemini import GEMINI
from sidecar.errors import (
    CannotCarry,
    CeilingSpent,
    ChainSpent,
    CredentialRefused,
    DeadlineExceeded,
    ForeignHost,
    GatewayError,
    MalformedRequest,
    ModelGone,
    NotReady,
    Overloaded,
    Rejected,
    ServerFault,
    Throttled,
    Unauthenticated,
    UnknownUseCase,
    UpstreamError,
    WrongMethod,
)


@pytest.mark.parametrize(
    ("error", "code", "word", "reason"),
    [
        (MalformedRequest("m"), 400, "INVALID_ARGUMENT", "malformed_request"),
        (Unauthenticated("m"), 401, "UNAUTHENTICATED", "unauthenticated"),
        (CeilingSpent("m"), 402, "RESOURCE_EXHAUSTED", "ceiling_spent"),
        (ForeignHost("m"), 403, "PERMISSION_DENIED", "foreign_host"),
        (UnknownUseCase("m"), 404, "NOT_FOUND", "unknown_use_case"),
        (WrongMethod("m"), 405, "UNIMPLEMENTED", "wrong_method"),
        (CannotCarry("part", "m"), 422, "INVALID_ARGUMENT", "cannot_carry"),
        (GatewayError("m"), 500, "INTERNAL", "gateway_error"),
        (CredentialRefused("m"), 502, "INTERNAL", "provider_auth"),
        (NotReady("m"), 503, "UNAVAILABLE", "not_ready"),
        (DeadlineExceeded("m"), 504, "DEADLINE_EXCEEDED", "deadline_exceeded"),
        (ChainSpent("m", status=503, code="throttled"), 503, "UNAVAILABLE", "throttled"),
    ],
)
def test_our_errors_are_what_googles_sdk_reads(error: GatewayError, code: int, word: str, reason: str) -> None:
    body = json.loads(GEMINI.encode_error(error, "req_1"))
    read = google_errors.APIError(error.status, body)
    assert (read.code, read.status, read.message) == (code, word, error.message)
    info, request = body["error"]["details"]
    assert (info["reason"], request["requestId"]) == (reason, "req_1")


@pytest.mark.parametrize(
    ("seconds", "delay"), [(7.0, "7s"), (0.25, "0.25s"), (8.941621227, "8.941621227s"), (0.0, "0s")]
)
def test_when_to_come_back_is_said_and_read_alike(seconds: float, delay: str) -> None:
    error = ChainSpent("m", status=429, code="throttled", retry_after_seconds=seconds)
    body = GEMINI.encode_error(error, "")
    assert json.loads(body)["error"]["details"][-1]["retryDelay"] == delay
    assert GEMINI.decode_error(429, {}, body).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"", Rejected),
        (401, b"", CredentialRefused),
        (404, b"[]", ModelGone),
        (409, b"null", ServerFault),
        (413, b"{}", Rejected),
        (418, b'{"error": "teapot"}', Rejected),
        (429, b'{"error": {"details": [{"retryDelay": "soon"}]}}', Throttled),
        (502, b"\xff", ServerFault),
        (503, b"<html>", Overloaded),
        # A word of Google's own goes before a proxy's status.
        (502, b'{"error": {"status": "RESOURCE_EXHAUSTED"}}', Throttled),
        (
            400,
            b'{"error": {"status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}',
            CredentialRefused,
        ),
    ],
)
def test_whatever_refuses_is_told_apart(status: int, body: bytes, kind: type[UpstreamError]) -> None:
    error = GEMINI.decode_error(status, {}, body)
    assert type(error) is kind
    assert (error.upstream_status, error.retry_after_seconds) == (status, None)


def test_what_the_caller_can_mend_comes_in_googles_words_without_keys() -> None:
    said = {
        "error": {"code": 400, "message": "contents: odd for AIzaSyA0123456789abcdef", "status": "INVALID_ARGUMENT"}
    }
    message = GEMINI.decode_error(400, {}, json.dumps(said).encode()).message
    assert message.startswith("contents: odd for ")
    assert "0123456789" not in message


def test_what_speaks_of_our_account_is_not_passed_on() -> None:
    said = {"error": {"code": 403, "message": "Project 12345 has no access", "status": "PERMISSION_DENIED"}}
    assert "12345" not in GEMINI.decode_error(403, {}, json.dumps(said).encode()).message
