"""How a key is shown, per API family."""

import pytest

from schemas.bundle import DialectName
from sidecar.dialects.registry import DIALECTS
from sidecar.errors import CredentialRefused
from sidecar.providers.endpoints import ANTHROPIC_BEARER_SINCE, API_FAMILIES, request_headers, take_key
from tests.fakes import core_bundles as bundles


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
    assert request_headers(bundles.provider(dialect=dialect), headers, key) == {
        "content-type": "application/json",
        **expected,
    }


def test_every_dialect_that_is_spoken_has_its_family() -> None:
    assert API_FAMILIES.keys() >= DIALECTS.keys()


def test_a_key_is_shown_bare_in_the_header_that_the_provider_names() -> None:
    shown = request_headers(bundles.provider(key_header="api-key"), {}, "k")
    assert shown == {"content-type": "application/json", "api-key": "k"}


@pytest.mark.parametrize(
    "sent",
    [
        {"authorization": "Bearer k"},
        {"authorization": "bearer  k"},
        {"x-api-key": "k"},
        {"x-goog-api-key": "k"},
        {"api-key": "k"},
        {"x-api-key": "k", "authorization": "Bearer other"},
    ],
)
def test_the_callers_key_is_taken_out_of_whichever_header_holds_it(sent: dict[str, str]) -> None:
    headers = {**sent, "x-team": "a"}
    assert take_key(headers) == "k"
    assert headers == {"x-team": "a"}


@pytest.mark.parametrize("sent", [{}, {"authorization": "Basic abc"}, {"x-api-key": ""}])
def test_a_call_without_a_key_is_told_so(sent: dict[str, str]) -> None:
    with pytest.raises(CredentialRefused, match="the caller's own key"):
        take_key(dict(sent))
