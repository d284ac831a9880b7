"""What can be asked of a use case: chat, and what stands beside it. One value for each; the pipeline is the same.

An operation says which dialects it is spoken in, which of a use case's targets may stand in for one another, and what
a translated answer takes from its request.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic

import msgspec

from schemas.bundle import DialectName
from sidecar.canonical.embeddings import EmbeddingsRequest, EmbeddingsResponse
from sidecar.canonical.events import Started
from sidecar.canonical.request import ChatRequest
from sidecar.canonical.response import ChatResponse
from sidecar.dialects import embeddings
from sidecar.dialects.base import A, ChatDialect, Envelope, Q, TargetDialect
from sidecar.dialects.passing import OPENAI_PASSING
from sidecar.dialects.registry import TARGETS
from sidecar.routing.scope import embedding_targets, speaking
from sidecar.routing.snapshot import UseCase


@dataclass(frozen=True, slots=True)
class Operation(Generic[Q, A]):
    dialects: Mapping[DialectName, TargetDialect[Q, A]]
    """What a target is asked in, by its provider's dialect; a target of another is skipped."""
    scope: Callable[[UseCase], UseCase]
    """The use case with the targets that this operation may choose from."""
    complete: Callable[[A, Envelope, Started], A]
    """A translated answer with what its provider's dialect does not say: from the request, or id, name and time of the
    call."""
    name: str = ""
    """In records; empty: chat."""


def _every_target(use_case: UseCase) -> UseCase:
    return use_case


def _whole(response: ChatResponse, _envelope: Envelope, unsaid: Started) -> ChatResponse:
    return msgspec.structs.replace(
        response,
        id=response.id or unsaid.id,
        model=response.model or unsaid.model,
        created=unsaid.created if response.created is None else response.created,
    )


CHAT: Operation[ChatRequest, ChatResponse] = Operation(dialects=TARGETS, scope=_every_target, complete=_whole)


EMBEDDINGS: Operation[EmbeddingsRequest, EmbeddingsResponse] = Operation(
    dialects=embeddings.EMBEDDINGS_DIALECTS,
    scope=embedding_targets,
    complete=embeddings.complete,
    name="embeddings",
)


def _openai_targets(use_case: UseCase) -> UseCase:
    return speaking(use_case, PASSING_DIALECTS)


PASSING_DIALECTS: Mapping[DialectName, ChatDialect] = {"openai": OPENAI_PASSING}

PASSING: Operation[ChatRequest, ChatResponse] = Operation(
    dialects=PASSING_DIALECTS, scope=_openai_targets, complete=_whole, name="passthrough"
)
"""What is handed to a provider as it came; nothing is translated, so nothing is completed."""
