"""How a key is shown, per API family."""

import pytest

from schemas.bundle import DialectName
from sidecar.dialects.registry import DIALECTS
from sidecar.providers.endpoints import ANTHROPIC_BEARER_SINCE, API_FAMILIES, request_headers


@pytest.mark.parametrize(
    ("dialect", "headers", "key", "expected"),
    [
        ("openai", {}, "k", {"authorization": "Bearer k"}),
        ("gemini", {}, "k", {"x-goog-api-key": "k"}),
        ("openai", {"x-more": "1"}, None, {"x-more": "1"}),
        ("anthropic", {}, "k", {"anthropic-version": "2023-06-01", "x-api-key": "k"}),
        ("anthropic", {"anthropic-version": "2024-01-01"}, "k", {"anthropic-version": "2024-01-01", "x-api-key": "k"}),
        (
            "anthropic",
            {"anthropic-version": ANTHROPIC_BEARER_SINCE},
            "k",
            {"anthropic-version": ANTHROPIC_BEARER_SINCE, "authorization": "Bearer k"},
        ),
    ],
)
def test_headers_of_a_request(
    dialect: DialectName, headers: dict[str, str], key: str | None, expected: dict[str, str]
) -> None:
    assert request_headers(dialect, headers, key) == {"content-type": "application/json", **expected}


def test_every_dialect_that_is_spoken_has_its_family() -> None:
    assert API_FAMILIES.keys() >= DIALECTS.keys()
