"""Hosts that name the model elsewhere than the dialect's own vendor does: one row per layout. Pure."""

from collections.abc import Callable, Mapping
from urllib.parse import quote

import msgspec

from schemas.bundle import Layout
from sidecar.dialects.counting import whole_request
from sidecar.providers.bedrock_invoke import invoke
from sidecar.providers.placed import Placed, hosted_anthropic
from sidecar.routing.snapshot import Target

Place = Callable[[Target, str, Mapping[str, str], bytes], Placed]

VERTEX_ANTHROPIC_VERSION = "vertex-2023-10-16"
"""In the body and instead of the model (docs.cloud.google.com, "Request predictions with Claude models")."""

_GEMINI_MODELS = "/v1beta/models/"
_ANTHROPIC_MODELS = "/publishers/anthropic/models/"


def placed(target: Target, path: str, headers: Mapping[str, str], body: bytes) -> Placed:
    """Where a request goes at the target's provider; unchanged but for a provider with a layout.

    Args:
        path: the dialect's own path for the request.
    """
    layout = target.endpoint.layout
    return Placed(path, headers, body) if layout is None else LAYOUTS[layout](target, path, headers, body)


def _azure_deployments(target: Target, path: str, headers: Mapping[str, str], body: bytes) -> Placed:
    """`/deployments/{deployment}/chat/completions?api-version=…` (openai-python, `lib/azure.py`)."""
    query = f"?api-version={target.endpoint.api_version}" if target.endpoint.api_version else ""
    return Placed(f"/deployments/{quote(target.name, safe='')}{path}{query}", headers, body)


def _vertex(target: Target, path: str, headers: Mapping[str, str], body: bytes) -> Placed:
    if target.dialect == "gemini":
        return _vertex_gemini(path, headers, body)
    fields, shown = hosted_anthropic(headers, body, VERTEX_ANTHROPIC_VERSION)
    if path.endswith("/count_tokens"):
        # One path for every model, which the body names (anthropic SDK, `lib/vertex`).
        fields["model"] = msgspec.Raw(msgspec.json.encode(target.name))
        return Placed(f"{_ANTHROPIC_MODELS}count-tokens:rawPredict", shown, msgspec.json.encode(fields))
    method = "streamRawPredict" if bytes(fields.get("stream", b"")) == b"true" else "rawPredict"
    return Placed(f"{_ANTHROPIC_MODELS}{quote(target.name, safe='@')}:{method}", shown, msgspec.json.encode(fields))


def _vertex_gemini(path: str, headers: Mapping[str, str], body: bytes) -> Placed:
    if path.endswith(":countTokens"):
        # The request inside the request is the Gemini API's own (google-genai, `_CountTokensParameters_to_vertex`).
        _, inner = whole_request(body) or ("", body)
        body = bytes(inner)
    return Placed("/publishers/google/models/" + path.removeprefix(_GEMINI_MODELS), headers, body)


LAYOUTS: Mapping[Layout, Place] = {
    "azure-deployments": _azure_deployments,
    "bedrock-invoke": invoke,
    "vertex": _vertex,
}
