"""The list of models as Google's API gives it, and one of it alone (ai.google.dev/api/models)."""

from collections.abc import Iterable

import msgspec

_METHODS = ("generateContent", "streamGenerateContent")


def encode_models(models: Iterable[tuple[str, str]], created: int) -> bytes:
    """It has no field for an owner or a time."""
    return msgspec.json.encode({"models": [_model(name) for name, _ in models]})


def encode_model(name: str, owner: str, created: int) -> bytes:
    return msgspec.json.encode(_model(name))


def _model(name: str) -> dict[str, object]:
    return {"name": f"models/{name}", "version": "", "displayName": name, "supportedGenerationMethods": _METHODS}
