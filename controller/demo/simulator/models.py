"""The list of models, in the shape of the dialect that asks: Anthropic's when the request names its API version."""

from collections.abc import Sequence
from typing import Any

RELEASED = 1_767_225_600
RELEASED_TEXT = "2026-01-01T00:00:00Z"  # the same second


def openai_model(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": RELEASED, "owned_by": "simulated"}


def openai_models(models: Sequence[str]) -> dict[str, Any]:
    return {"object": "list", "data": [openai_model(model) for model in models]}


def anthropic_model(model: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model,
        "display_name": f"{model} (simulated)",
        "created_at": RELEASED_TEXT,
        "lifecycle": "active",
        "line": None,
        "deprecated_at": None,
        "retires_at": None,
    }


def anthropic_models(models: Sequence[str]) -> dict[str, Any]:
    ends = {"first_id": models[0] if models else None, "last_id": models[-1] if models else None}
    return {"data": [anthropic_model(model) for model in models], "has_more": False, **ends}
