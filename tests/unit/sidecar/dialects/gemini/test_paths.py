"""What the path of a Gemini call says, and the path to a target."""

import pytest

from sidecar.dialects.base import InPath
from sidecar.dialects.gemini.paths import parse_path, path_to


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1beta/models/support:generateContent", InPath("support", False, "generateContent")),
        ("/v1beta/models/support:streamGenerateContent", InPath("support", True, "streamGenerateContent")),
        ("/v1/models/gemini-2.5-flash:generateContent", InPath("gemini-2.5-flash", False, "generateContent")),
        ("/v1beta/models/team/a%20b:generateContent", InPath("team/a b", False, "generateContent")),
        ("/v1beta/models/llama3:8b:generateContent", InPath("llama3:8b", False, "generateContent")),
        ("/v1beta/models/support:countTokens", InPath("support", False, "countTokens")),
        ("/v1beta/models/support:predict", None),
        ("/v1beta/models/:generateContent", None),
        ("/v1beta/models", None),
        ("/v1/chat/completions", None),
    ],
)
def test_what_a_path_says(path: str, said: InPath | None) -> None:
    assert parse_path(path) == said


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        ("gemini-2.5-flash", False, "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("gemini-2.5-flash", True, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        ("models/gemini-2.5-flash", False, "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("tunedModels/ours", False, "/v1beta/tunedModels/ours:generateContent"),
        ("a?b#c", False, "/v1beta/models/a%3Fb%23c:generateContent"),
    ],
)
def test_the_path_to_a_target(model: str, stream: bool, path: str) -> None:
    assert path_to(model, stream) == path
