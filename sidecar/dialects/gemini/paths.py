"""The paths of the Gemini API, where it says which model and whether to stream
(ai.google.dev/api/generate-content, "Endpoint").
"""

import re
from urllib.parse import quote, unquote

from sidecar.dialects.base import InPath

_CALL = re.compile(r"/v1(?:beta)?/models/([^/:]+(?:/[^/:]+)*):(generateContent|streamGenerateContent)")

_COLLECTIONS = ("models/", "tunedModels/")
"""A name that begins so says where the model stands; any other is one of `models/` (google-genai, `t_model`)."""


def path_to(model: str, stream: bool) -> str:
    """Without `alt=sse` Google streams one JSON array, piece by piece."""
    name = quote(model if model.startswith(_COLLECTIONS) else f"models/{model}", safe="/")
    return f"/v1beta/{name}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")


def parse_path(path: str) -> InPath | None:
    """What a call's path says; None for a path of another kind. `path` may be percent-encoded and holds no query."""
    found = _CALL.fullmatch(path)
    return None if found is None else InPath(unquote(found[1]), found[2] == "streamGenerateContent")
