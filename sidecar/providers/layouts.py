"""Hosts that name the model elsewhere than the dialect's own vendor does: one row per layout. Pure."""

from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from schemas.bundle import Layout
from sidecar.routing.snapshot import Target


class Placed(NamedTuple):
    """What goes after the base URL, and the body."""

    path: str
    body: bytes


VERTEX_ANTHROPIC_VERSION = "vertex-2023-10-16"
"""In the body and instead of the model (docs.cloud.google.com, "Request predictions with Claude models")."""

_GEMINI_MODELS = "/v1beta/models/"
_VERTEX_PUBLISHERS = {"gemini": "google", "anthropic": "anthropic"}


def placed(target: Target, path: str, body: bytes) -> Placed:
    """Where a request goes at the target's provider; unchanged but for a provider with a layout.

    Args:
        path: the dialect's own path for the request.
    """
    layout = target.endpoint.layout
    return Placed(path, body) if layout is None else LAYOUTS[layout](target, path, body)


def _azure_deployments(target: Target, path: str, body: bytes) -> Placed:
    """`/deployments/{deployment}/chat/completions?api-version=…` (openai-python, `lib/azure.py`)."""
    query = f"?api-version={target.endpoint.api_version}" if target.endpoint.api_version else ""
    return Placed(f"/deployments/{quote(target.name, safe='')}{path}{query}", body)


def _vertex(target: Target, path: str, body: bytes) -> Placed:
    publisher = f"/publishers/{_VERTEX_PUBLISHERS[target.dialect]}/models/"
    if target.dialect == "gemini":
        return Placed(publisher + path.removeprefix(_GEMINI_MODELS), body)
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    fields.pop("model", None)
    version = msgspec.Raw(msgspec.json.encode(VERTEX_ANTHROPIC_VERSION))
    method = "streamRawPredict" if bytes(fields.get("stream", b"")) == b"true" else "rawPredict"
    body = msgspec.json.encode({**fields, "anthropic_version": version})
    return Placed(f"{publisher}{quote(target.name, safe='@')}:{method}", body)


LAYOUTS: Mapping[Layout, Callable[[Target, str, bytes], Placed]] = {
    "azure-deployments": _azure_deployments,
    "vertex": _vertex,
}
