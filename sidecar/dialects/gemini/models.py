"""The list of models as Google's API gives it (ai.google.dev/api/models, `models.list`)."""

from collections.abc import Iterable

import msgspec

_METHODS = ("generateContent", "streamGenerateContent")


def encode_models(models: Iterable[tuple[str, str]], created: int) -> bytes:
    """It has no field for an owner or a time."""
    listed = [
        {"name": f"models/{name}", "version": "", "displayName": name, "supportedGenerationMethods": _METHODS}
        for name, _ in models
    ]
    return msgspec.json.encode({"models": listed})
