"""The paths of the Gemini API, where it says which model and whether to stream
(ai.google.dev/api/generate-content and /embeddings and /tokens, "Endpoint").
"""

import re
from urllib.parse import quote, unquote

from sidecar.dialects.base import InPath

METHODS = ("generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents", "countTokens")

_CALL = re.compile(rf"/v1(?:beta)?/models/(.+):({'|'.join(METHODS)})")

_COLLECTIONS = ("models/", "tunedModels/")
"""A name that begins so says where the model stands; any other is one of `models/` (google-genai, `t_model`)."""


def path_to(model: str, stream: bool) -> str:
    """Without `alt=sse` Google streams one JSON array, piece by piece."""
    return method_path(model, "streamGenerateContent?alt=sse" if stream else "generateContent")


def method_path(model: str, method: str) -> str:
    return f"/v1beta/{quote(resource_name(model), safe='/')}:{method}"


def resource_name(model: str) -> str:
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def parse_path(path: str) -> InPath | None:
    """What a call's path says; None for a path of another kind. `path` may be percent-encoded and holds no query."""
    found = _CALL.fullmatch(path)
    return None if found is None else InPath(unquote(found[1]), found[2] == "streamGenerateContent", found[2])
