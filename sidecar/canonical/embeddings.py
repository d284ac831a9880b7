"""Our dialect-free form of an embeddings call: texts in, one vector for each out."""

from typing import Literal

import msgspec

from schemas.record import Usage

Encoding = Literal["float", "base64"]
"""How OpenAI's dialect writes a vector: decimal numbers, or base64 over little-endian 32-bit floats."""

Input = str | tuple[int, ...]
"""A text, or the ids of its tokens in the model's own vocabulary."""


class EmbeddingsRequest(msgspec.Struct, frozen=True, kw_only=True):
    inputs: tuple[Input, ...]
    dimensions: int | None = None
    tasks: tuple[str | None, ...] = ()
    """What each vector is for, in Gemini's words (`RETRIEVAL_QUERY`); empty where nothing is said."""
    titles: tuple[str | None, ...] = ()
    user: str | None = None


class EmbeddingsResponse(msgspec.Struct, frozen=True, kw_only=True):
    vectors: tuple[tuple[float, ...], ...]
    """In the order of the inputs."""
    model: str = ""
    usage: Usage | None = None
    """Input tokens alone: a vector is not counted in tokens."""
    encoding: Encoding = "float"
