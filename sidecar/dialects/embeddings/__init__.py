"""Embeddings, an operation beside chat: each dialect that has one, by its name in the rules. Anthropic has none."""

from collections.abc import Mapping

import msgspec

from schemas.bundle import DialectName
from schemas.record import Usage
from sidecar.canonical.embeddings import EmbeddingsRequest, EmbeddingsResponse
from sidecar.canonical.events import Started
from sidecar.dialects.base import Dialect, Envelope
from sidecar.dialects.embeddings.gemini import GEMINI_BATCH, GEMINI_ONE
from sidecar.dialects.embeddings.openai import OPENAI_EMBEDDINGS, encoding_of

EmbeddingsDialect = Dialect[EmbeddingsRequest, EmbeddingsResponse]

EMBEDDINGS_DIALECTS: Mapping[DialectName, EmbeddingsDialect] = {"gemini": GEMINI_BATCH, "openai": OPENAI_EMBEDDINGS}
"""What a target is asked in. A caller may speak `GEMINI_ONE` as well."""


def complete(response: EmbeddingsResponse, envelope: Envelope, _unsaid: Started) -> EmbeddingsResponse:
    """Written as the caller asked for, with what OpenAI's shape demands and Gemini's may leave out: the name of the
    model, which is the one that was asked for, and the usage, which is the estimate that is booked.
    """
    return msgspec.structs.replace(
        response,
        model=response.model or envelope.model,
        usage=response.usage or Usage(input_tokens=envelope.input_tokens),
        encoding=encoding_of(envelope.fields),
    )


__all__ = ["EMBEDDINGS_DIALECTS", "GEMINI_BATCH", "GEMINI_ONE", "OPENAI_EMBEDDINGS", "EmbeddingsDialect", "complete"]
