"""The list of models as OpenAI's API gives it."""

from collections.abc import Iterable

import msgspec


def encode_models(models: Iterable[tuple[str, str]], created: int) -> bytes:
    """`GET /v1/models`, from (id, owner) pairs."""
    data = [{"id": id_, "object": "model", "created": created, "owned_by": owner} for id_, owner in models]
    return msgspec.json.encode({"object": "list", "data": data})
