"""Where requests go at hosts that name the model elsewhere, and how their bodies say what the URL does not."""

import json
from typing import Any

import pytest

from sidecar.providers.layouts import placed
from sidecar.routing.snapshot import Target
from tests.fakes import core_bundles as bundles


def target(dialect: str, name: str = "one-name", **more: Any) -> Target:
    snapshot = bundles.snapshot(
        providers={"one": bundles.provider("https://host.example", dialect=dialect, **more)},  # type: ignore[arg-type]
        models={"a": bundles.model("one")},
        chain=["a"],
    )
    found: Target = snapshot.targets["a"][0]
    assert found.name == name
    return found


@pytest.mark.parametrize(
    ("dialect", "layout", "path", "expected"),
    [
        ("openai", None, "/chat/completions", "/chat/completions"),
        (
            "openai",
            "azure-deployments",
            "/chat/completions",
            "/deployments/one-name/chat/completions?api-version=2024-10-21",
        ),
        ("openai", "azure-deployments", "/embeddings", "/deployments/one-name/embeddings?api-version=2024-10-21"),
        (
            "gemini",
            "vertex",
            "/v1beta/models/one-name:generateContent",
            "/publishers/google/models/one-name:generateContent",
        ),
        (
            "gemini",
            "vertex",
            "/v1beta/models/one-name:streamGenerateContent?alt=sse",
            "/publishers/google/models/one-name:streamGenerateContent?alt=sse",
        ),
    ],
)
def test_the_path_names_the_model_and_the_body_stays(
    dialect: str, layout: str | None, path: str, expected: str
) -> None:
    where = target(dialect, layout=layout, api_version="2024-10-21" if layout == "azure-deployments" else None)
    assert placed(where, path, b'{"model": "x"}') == (expected, b'{"model": "x"}')


@pytest.mark.parametrize(
    ("stream", "method"),
    [({}, "rawPredict"), ({"stream": False}, "rawPredict"), ({"stream": True}, "streamRawPredict")],
)
def test_claude_at_vertex_has_its_model_in_the_path_and_its_version_in_the_body(
    stream: dict[str, bool], method: str
) -> None:
    asked = {"model": "one-name", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], **stream}
    path, body = placed(target("anthropic", layout="vertex"), "/v1/messages", json.dumps(asked).encode())
    assert path == f"/publishers/anthropic/models/one-name:{method}"
    del asked["model"]
    assert json.loads(body) == {**asked, "anthropic_version": "vertex-2023-10-16"}
