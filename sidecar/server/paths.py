"""The paths that agents call, and what is asked at each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.core.operations import CHAT, EMBEDDINGS, Operation
from sidecar.dialects.base import BODY_ALONE, Dialect, InPath
from sidecar.dialects.counting import ANTHROPIC_COUNT, GEMINI_COUNT, Counting
from sidecar.dialects.embeddings import GEMINI_BATCH, GEMINI_ONE, OPENAI_EMBEDDINGS
from sidecar.dialects.gemini.paths import parse_path
from sidecar.dialects.registry import DIALECTS
from sidecar.server.passthrough import ID, PASSED


@dataclass(frozen=True, slots=True)
class Served:
    """What is asked at a path, and in which dialect."""

    dialect: Dialect[Any, Any]
    operation: Operation[Any, Any] = CHAT
    counting: Counting | None = None
    """Not a call: the tokens that one would take are counted."""


GOOGLE_VERSIONS = ("v1beta", "v1")

GEMINI_METHODS: Mapping[str, Served] = {
    "generateContent": Served(DIALECTS["gemini"]),
    "streamGenerateContent": Served(DIALECTS["gemini"]),
    "embedContent": Served(GEMINI_ONE, EMBEDDINGS),
    "batchEmbedContents": Served(GEMINI_BATCH, EMBEDDINGS),
    "countTokens": Served(GEMINI_COUNT.dialect, counting=GEMINI_COUNT),
}

PLAIN_PATHS: Mapping[str, Served] = {
    "/v1/chat/completions": Served(DIALECTS["openai"]),
    "/v1/responses": Served(DIALECTS["openai-responses"]),
    "/v1/messages": Served(DIALECTS["anthropic"]),
    "/v1/embeddings": Served(OPENAI_EMBEDDINGS, EMBEDDINGS),
    "/v1/messages/count_tokens": Served(ANTHROPIC_COUNT.dialect, counting=ANTHROPIC_COUNT),
}
"""Those that name no model."""

POST_PATHS: Mapping[str, Served] = {
    **PLAIN_PATHS,
    **{
        f"/{version}/models/{{model}}:{method}": served
        for version in GOOGLE_VERSIONS
        for method, served in GEMINI_METHODS.items()
    },
}
"""`{model}` may hold slashes: a use case's alias may be any name."""

CALL_PATHS: Mapping[str, Served] = {path: served for path, served in POST_PATHS.items() if served.counting is None}

FEEDBACK_PATH = "/v1/feedback"
MODELS_PATHS = ("/v1/models", "/v1beta/models")
MODEL_PATHS = tuple(f"{path}/{{model}}" for path in MODELS_PATHS)

SERVED_PATHS = (
    *CALL_PATHS,
    *(path for path, served in POST_PATHS.items() if served.counting is not None),
    FEEDBACK_PATH,
    *MODELS_PATHS,
    *MODEL_PATHS,
    *(passed.path.replace(ID, "{id}") for passed in PASSED),
)
"""As a caller reads them."""


def served_at(path: str) -> tuple[Served, InPath] | None:
    """What a POST to a path asks, and what the path says of it. `path` may be percent-encoded and holds no query."""
    served = PLAIN_PATHS.get(path)
    if served is not None:
        return served, BODY_ALONE
    in_path = parse_path(path)
    return None if in_path is None else (GEMINI_METHODS[in_path.method], in_path)
