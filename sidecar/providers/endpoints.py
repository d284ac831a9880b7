"""One row per API family: how a key is shown, and which headers its API demands. A provider is data, not a row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.bundle import DialectName, Provider
from sidecar.errors import CredentialRefused

ShowKey = Callable[[str, Mapping[str, str]], tuple[str, str]]
"""Key and the request's other headers → header name and value."""

ANTHROPIC_BEARER_SINCE = "2026-10-21"
"""From this API version on Anthropic's own SDKs show the key as a bearer token (anthropic-sdk-python 2.x)."""


BARE_KEY_HEADERS = ("x-api-key", "x-goog-api-key", "api-key")
"""In which callers' SDKs send a key without a scheme."""


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
    "openai-responses": ApiFamily(_bearer, {}),
    # The version that our translation speaks; under newer ones sampling knobs are refused.
    "anthropic": ApiFamily(_anthropic, {"anthropic-version": "2023-06-01"}),
    # Google takes the key in the query too, where it would end in logs.
    "gemini": ApiFamily(_gemini, {}),
    # Bedrock's own API keys; a signature is made elsewhere.
    "bedrock": ApiFamily(_bearer, {}),
}

HOSTED_ANTHROPIC = ApiFamily(_bearer, {})
"""At a cloud the version stands in the body, and keys and tokens are the cloud's."""


def family_of(endpoint: Provider) -> ApiFamily:
    if endpoint.dialect == "anthropic" and endpoint.layout is not None:
        return HOSTED_ANTHROPIC
    return API_FAMILIES[endpoint.dialect]


def request_headers(endpoint: Provider, headers: Mapping[str, str], key: str | None) -> dict[str, str]:
    """Everything that goes to the provider; the provider's own static headers are already among `headers`."""
    family = family_of(endpoint)
    merged = {"content-type": "application/json", **family.default_headers, **headers}
    if key is not None:
        name, value = family.show_key(key, merged) if endpoint.key_header is None else (endpoint.key_header, key)
        merged[name] = value
    return merged


def take_key(headers: dict[str, str]) -> str:
    """The caller's own key, in whichever form its SDK sent it; its headers are taken out of `headers`.

    Raises:
        CredentialRefused: there is none.
    """
    bare = [headers.pop(name, "") for name in BARE_KEY_HEADERS]
    scheme, _, rest = headers.pop("authorization", "").partition(" ")
    bearer = rest.strip() if scheme.lower() == "bearer" else ""
    key = next((key for key in (*bare, bearer) if key), None)
    if key is None:
        raise CredentialRefused("this provider takes the caller's own key, and the call carries none")
    return key
