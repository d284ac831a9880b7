"""Where requests go at hosts that name the model elsewhere, and how their bodies say what the URL does not."""

import json
from typing import Any

import pytest

from sidecar.providers.layouts import placed
from sidecar.routing.snapshot import Target
from tests.fakes import core_bundles as bundles

HEADERS = {"x-a": "b"}


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
    assert placed(where, path, HEADERS, b'{"model": "x"}') == (expected, HEADERS, b'{"model": "x"}', None)


def test_a_count_at_vertex_is_asked_without_the_request_around_the_request() -> None:
    """google-genai, `_CountTokensParameters_to_vertex`: what the Gemini API nests stands at the top there."""
    asked = b'{"generateContentRequest":{"model":"models/x","contents":[{"parts":[{"text":"Hi"}]}]}}'
    path = "/v1beta/models/one-name:countTokens"
    there = placed(target("gemini", layout="vertex"), path, HEADERS, asked)
    assert there.path == "/publishers/google/models/one-name:countTokens"
    assert json.loads(there.body) == {"model": "models/x", "contents": [{"parts": [{"text": "Hi"}]}]}
    plain = b'{"contents":[]}'
    assert placed(target("gemini", layout="vertex"), path, HEADERS, plain).body == plain


MESSAGES: dict[str, Any] = {"model": "one-name", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
COUNT = "/v1/messages/count_tokens"


@pytest.mark.parametrize(
    ("path", "more", "expected", "gone"),
    [
        ("/v1/messages", {}, "one-name:rawPredict", {"model"}),
        ("/v1/messages", {"stream": False}, "one-name:rawPredict", {"model"}),
        ("/v1/messages", {"stream": True}, "one-name:streamRawPredict", {"model"}),
        (COUNT, {}, "count-tokens:rawPredict", set()),
    ],
)
def test_claude_at_vertex_has_its_model_in_the_path_and_its_version_in_the_body(
    path: str, more: dict[str, bool], expected: str, gone: set[str]
) -> None:
    asked = MESSAGES | more
    there = placed(target("anthropic", layout="vertex"), path, HEADERS, json.dumps(asked).encode())
    assert there.path == f"/publishers/anthropic/models/{expected}"
    assert there.headers == {"x-a": "b"}
    kept = {name: value for name, value in asked.items() if name not in gone}
    assert json.loads(there.body) == {**kept, "anthropic_version": "vertex-2023-10-16"}
