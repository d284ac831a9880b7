"""One row per API family: how a key is shown, and which headers its API demands. A provider is data, not a row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.bundle import DialectName

ShowKey = Callable[[str, Mapping[str, str]], tuple[str, str]]
"""Key and the request's other headers → header name and value."""

ANTHROPIC_BEARER_SINCE = "2026-10-21"
"""From this API version on Anthropic's own SDKs show the key as a bearer token (anthropic-sdk-python 2.x)."""


@dataclass(frozen=True, slots=True)
class ApiFamily:
    show_key: ShowKey
    default_headers: Mapping[str, str]
    """Sent where the caller's own request does not carry them on."""


def _bearer(key: str, _headers: Mapping[str, str]) -> tuple[str, str]:
    return "authorization", f"Bearer {key}"


def _anthropic(key: str, headers: Mapping[str, str]) -> tuple[str, str]:
    if headers.get("anthropic-version", "") >= ANTHROPIC_BEARER_SINCE:
        return _bearer(key, headers)
    return "x-api-key", key


def _gemini(key: str, _headers: Mapping[str, str]) -> tuple[str, str]:
    return "x-goog-api-key", key


API_FAMILIES: dict[DialectName, ApiFamily] = {
    "openai": ApiFamily(_bearer, {}),
    # The version that our translation speaks; under newer ones sampling knobs are refused.
    "anthropic": ApiFamily(_anthropic, {"anthropic-version": "2023-06-01"}),
    # Google takes the key in the query too, where it would end in logs.
    "gemini": ApiFamily(_gemini, {}),
}


def request_headers(dialect: DialectName, headers: Mapping[str, str], key: str | None) -> dict[str, str]:
    """Everything that goes to the provider; the provider's own static headers are already among `headers`."""
    family = API_FAMILIES[dialect]
    merged = {"content-type": "application/json", **family.default_headers, **headers}
    if key is not None:
        name, value = family.show_key(key, merged)
        merged[name] = value
    return merged
