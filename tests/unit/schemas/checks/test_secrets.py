"""Pasted secrets are found wherever they stand, and are never repeated."""

import pytest

from schemas.checks.secrets import find_secrets
from schemas.validate import looks_secret

PADDING = "abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.mark.parametrize(
    "secret",
    [
        f"sk-{PADDING}",
        f"sk-ant-api03-{PADDING}",
        f"gsk_{PADDING}",
        f"xai-{PADDING}",
        "AKIAIOSFODNN7EXAMPLE",
        f"AIza{PADDING[:35]}",
        f"ghp_{PADDING}",
        f"hf_{PADDING}",
        "-----BEGIN EC PRIVATE KEY-----",
        f"Bearer {PADDING}",
    ],
)
def test_a_secret_is_found_in_its_line_and_not_repeated(secret: str) -> None:
    (problem,) = find_secrets("providers/a.yaml", f"provider: a\n# was: {secret} until May\n")
    assert (problem.line, problem.column, problem.code) == (2, 8, "secret-in-file")
    assert secret[5:] not in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        "auth: {api_key: {env: OPENAI_API_KEY}}",
        "base_url: https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1",
        f"key: sha256:{'0' * 64}",
        "name: accounts/fireworks/models/llama-v3p1-8b-instruct",
        "name: us.anthropic.claude-sonnet-4-6-v1:0",
        "description: asks for the risk-assessment-of-the-customer-portfolio",
    ],
)
def test_what_rules_are_made_of_is_no_secret(text: str) -> None:
    assert list(find_secrets("providers/a.yaml", text)) == []


@pytest.mark.parametrize(
    ("value", "is_secret"),
    [
        ("9fK2mQ7xLp4Rz8Tb1Vc6Yd3Wn5Hs0Jg", True),
        ("routing", False),
        ("2023-06-01", False),
        ("prompt-caching-2024-07-31", False),
        ("https://example.com/a/long/address/with/9/parts", False),
        ("a sentence of several words that goes on for 40 characters", False),
    ],
)
def test_random_looking_values_are_told_from_words(value: str, is_secret: bool) -> None:
    assert looks_secret(value) is is_secret
