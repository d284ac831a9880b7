"""The list of models as Anthropic's API gives it, and one of it alone (anthropic SDK, `model_info`)."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec


class _Model(msgspec.Struct, frozen=True, tag_field="type", tag="model"):
    id: str
    display_name: str
    created_at: str
    lifecycle: str = "active"


class _Models(msgspec.Struct, frozen=True):
    data: list[_Model]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


def encode_models(models: Iterable[tuple[str, str]], created: int) -> bytes:
    """It has no field for an owner."""
    data = [_model(name, created) for name, _ in models]
    ids = [model.id for model in data]
    return msgspec.json.encode(_Models(data, ids[0] if ids else None, ids[-1] if ids else None))


def encode_model(name: str, owner: str, created: int) -> bytes:
    return msgspec.json.encode(_model(name, created))


def _model(name: str, created: int) -> _Model:
    at = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _Model(id=name, display_name=name, created_at=at)
