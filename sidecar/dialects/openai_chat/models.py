"""The list of models as OpenAI's API gives it, and one of it alone."""

from collections.abc import Iterable

import msgspec


def encode_models(models: Iterable[tuple[str, str]], created: int) -> bytes:
    """`GET /v1/models`, from (id, owner) pairs."""
    return msgspec.json.encode({"object": "list", "data": [_model(id_, owner, created) for id_, owner in models]})


def encode_model(id_: str, owner: str, created: int) -> bytes:
    """`GET /v1/models/{id}`."""
    return msgspec.json.encode(_model(id_, owner, created))


def _model(id_: str, owner: str, created: int) -> dict[str, object]:
    return {"id": id_, "object": "model", "created": created, "owned_by": owner}
