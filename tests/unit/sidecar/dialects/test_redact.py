"""What a provider's message may not carry on to a caller, a log or a record."""

import pytest

from sidecar.dialects.redact import MAX_MESSAGE_CHARS, redact

HEX = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Incorrect API key provided: sk-proj-abc***xyz.", "Incorrect API key provided: [masked]"),
        ("invalid x-api-key sk-ant-api03-AbC_d-9", "invalid x-api-key [masked]"),
        ("got Authorization: Bearer abc.def", "got Authorization: Bearer [masked]"),
        (f"API key not valid: AIzaSy{HEX}", "API key not valid: [masked]"),
        (f"Invalid api_key='{HEX}'", "Invalid api_key='[masked]'"),
        (f"the key {HEX} is unknown", "the key [masked] is unknown"),
        (f"token: {HEX}==", "token: [masked]"),
        (f"bad gsk_{HEX}", "bad [masked]"),
        ("AKIAIOSFODNN7EXAMPLE is not allowed", "[masked] is not allowed"),
        (f"jwt eyJhbGciOiJI.{HEX}.{HEX}", "jwt [masked]"),
        ("see https://example.com/v1/x?key=abc&q=1 for more", "see https://example.com/v1/x for more"),
        ("at https://me:pass@example.com/v1", "at https://example.com/v1"),
    ],
)
def test_what_looks_like_a_key_is_masked(message: str, shown: str) -> None:
    assert redact(message) == shown


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4097 tokens. However, your messages resulted in 4294 tokens.",
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "Unrecognized key: response_format_strictness is not a field",
        "Invalid schema for function 'lookup_task-list': schema must be an object.",
        f"no such file file-{HEX}",
    ],
)
def test_what_helps_the_caller_stays(message: str) -> None:
    assert redact(message) == message


def test_a_message_has_a_largest_size() -> None:
    assert len(redact("x " * 50_000)) == MAX_MESSAGE_CHARS
