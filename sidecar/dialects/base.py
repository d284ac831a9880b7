"""What every dialect offers: the same functions, gathered in one frozen value. Variation between dialects is which
functions stand in it, never a test on a dialect's name.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from schemas.bundle import Capability, DialectName
from schemas.record import Usage
from sidecar.canonical.events import AnyEvent
from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import ChatRequest
from sidecar.canonical.response import ChatResponse
from sidecar.dialects.estimate import TextCount, estimate_text_tokens
from sidecar.errors import GatewayError, UpstreamError

PriceOf = Callable[[Usage], Decimal | None]
"""Usage to US dollars at the answering target's price; None when the price is unknown."""


class InPath(msgspec.Struct, frozen=True, gc=False):
    """What a dialect says in a request's path and not in its body (Gemini: `models/<model>:streamGenerateContent`)."""

    model: str = ""
    stream: bool = False
    method: str = ""
    """What follows the colon."""


BODY_ALONE = InPath()


class Opener(Protocol):
    def __call__(
        self, body: bytes, in_path: InPath = BODY_ALONE, count_text: TextCount = estimate_text_tokens, /
    ) -> "Envelope":
        """Raises MalformedRequest: not JSON, not an object, no model, no messages, a field of the wrong type."""
        ...


class Envelope(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What routing needs of a request body, read once without decoding its messages."""

    body: bytes
    """As it came."""
    fields: Mapping[str, msgspec.Raw]
    """Top-level fields, each with its exact bytes: what lets the body pass through unchanged."""
    model: str
    stream: bool
    wants_usage: bool
    """The caller asked for usage in its stream (OpenAI's `stream_options.include_usage`; others always send it)."""
    needs: frozenset[Capability]
    input_tokens: int
    """An estimate, or the texts counted by a vocabulary; inline images and files count as a fixed cost, not by their
    bytes."""
    max_output_tokens: int | None
    metadata: Mapping[str, str]
    continues: str | None = None
    """The id of an earlier answer that its provider keeps and this request goes on from (Responses'
    `previous_response_id`): only the target that owns it can answer."""


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """A request in a target's dialect."""

    body: bytes
    dropped: tuple[str, ...] = ()
    """Knobs of the caller's dialect that the target's lacks, by the caller's own field names."""


class PlainAnswer(msgspec.Struct, frozen=True, gc=False):
    """What the books need of a plain answer that passes through as it is."""

    model: str
    usage: Usage | None
    state_id: str = ""
    """The id by which a later request may continue this answer, where its provider keeps it; else empty."""


class StreamDecoder(Protocol):
    """Bytes to canonical events. Fed whatever arrived; holds at most one unfinished event, up to a named limit."""

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Whole events so far. Never raises: what is not the dialect becomes one `Failed` (MalformedAnswer)."""
        ...

    def finish(self) -> list[AnyEvent]:
        """The bytes have ended. Adds `Failed(StreamCut)` when no finish reason was ever seen."""
        ...


class StreamEncoder(Protocol):
    """Canonical events to bytes of the caller's dialect."""

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        """`Failed` is encoded as the dialect's own error event, and no end mark follows it, ever."""
        ...

    def encode_failure(self, error: GatewayError, request_id: str) -> bytes:
        """As in `Tap`."""
        ...


class Tap(Protocol):
    """Stands in a stream that passes through: bytes in, whole events out as they came, and reads what the books need.

    Until content is seen it looks at every event; afterwards it forwards whole events and parses only those whose bytes
    hold a usage object, a finish reason, an error or the end mark.
    """

    @property
    def content_seen(self) -> bool:
        """A content event has passed (`events.CONTENT_EVENTS`): the caller may be answered."""
        ...

    @property
    def finished(self) -> bool:
        """A finish reason was seen: from here on the answer is whole."""
        ...

    @property
    def ended(self) -> bool:
        """The dialect's end mark has passed, or is in what `feed` just returned."""
        ...

    @property
    def usage(self) -> Usage | None:
        """The latest running total."""
        ...

    @property
    def state_id(self) -> str:
        """As in `PlainAnswer`, as soon as it is known."""
        ...

    @property
    def failed(self) -> UpstreamError | None:
        """The provider's own error event, or bytes that are not the dialect. What came before it has been returned."""
        ...

    def feed(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes:
        """The bytes have ended: what is left. Sets `failed` to StreamCut when no finish reason was seen."""
        ...

    def encode_failure(self, error: GatewayError, request_id: str) -> bytes:
        """Our error as the caller's dialect says it at this point of this stream, with our code in it. No end mark
        follows, and nothing else."""
        ...


class Answer(Protocol):
    """What the books need of a plain answer that was translated."""

    @property
    def model(self) -> str: ...

    @property
    def usage(self) -> Usage | None: ...


Q = TypeVar("Q")
A = TypeVar("A", bound=Answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDialect(Generic[Q, A]):
    """What calling a target takes: one operation in one dialect, with `Q` its canonical request and `A` its answer."""

    name: DialectName

    encode_request: Callable[[Q, ModelTraits], Encoded]
    """Raises CannotCarry."""
    decode_response: Callable[[bytes], A]
    """Id and model are empty where the answer names none. Raises MalformedAnswer."""
    new_decoder: Callable[[], StreamDecoder]
    decode_error: Callable[[int, Mapping[str, str], bytes], UpstreamError]
    """Status, headers (lower-case names), body of a refusal, to the class that decides what happens next. Retry-After
    in all its forms; anything like a key in the provider's message is masked."""
    path: Callable[[str, bool], str]
    """The target's name of the model, and whether it is to stream, to the path (and query) that is appended to a
    provider's `base_url`, which is what the vendor's own SDK takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect(TargetDialect[Q, A], Generic[Q, A]):
    """A dialect that agents call in too."""

    open: Opener
    forward: Callable[[Envelope, str], bytes]
    """The caller's own body with the target's name of the model in place, for a target of the same dialect. A chat
    stream always asks for usage; the tap takes it out again where the caller did not ask."""
    decode_request: Callable[[Envelope], Q]
    """Raises MalformedRequest."""
    beginning: Callable[[Envelope], bytes]
    """What the body tells of its conversation, the same at every turn: the id under which a provider keeps it, else its
    instructions and the user's first turn. Empty where it tells nothing."""

    read_answer: Callable[[bytes], PlainAnswer]
    """A plain answer that passes through. Raises MalformedAnswer when the bytes are not one."""
    encode_response: Callable[[A], bytes]

    new_tap: Callable[[bool, PriceOf], Tap]
    """Whether the caller wants usage; how to price the final usage object's `cost_usd`."""
    new_encoder: Callable[[bool, PriceOf, int], StreamEncoder]
    """Whether the caller wants usage; how to price it; the estimate of input tokens, for a dialect that names input
    before the provider has counted it."""

    encode_error: Callable[[GatewayError, str], bytes]
    """Our error in this dialect's own error shape, with our code in it, for a plain answer; the request id."""

    encode_models: Callable[[Iterable[tuple[str, str]], int], bytes]
    """`GET /v1/models`: (id, owner) pairs and a Unix time for the field that must name one."""
    encode_model: Callable[[str, str, int], bytes]
    """One of them alone, as the dialect answers for it: id, owner, Unix time."""

    stream_content_type: str = "text/event-stream; charset=utf-8"
    forwarded_headers: frozenset[str] = frozenset()
    """Caller's request headers (lower case) that mean something to a provider of the same dialect."""


ChatDialect = Dialect[ChatRequest, ChatResponse]
ChatTarget = TargetDialect[ChatRequest, ChatResponse]


def beside_chat(
    chat: ChatDialect,
    *,
    open: Opener,
    forward: Callable[[Envelope, str], bytes],
    decode_request: Callable[[Envelope], Q],
    encode_request: Callable[[Q, ModelTraits], Encoded],
    read_answer: Callable[[bytes], PlainAnswer],
    decode_response: Callable[[bytes], A],
    encode_response: Callable[[A], bytes],
    path: Callable[[str, bool], str],
) -> Dialect[Q, A]:
    """Another operation of a dialect: its errors and headers are those of chat, and it is never asked to stream."""
    dialect: Dialect[Any, Any] = chat
    return replace(
        dialect,
        open=open,
        forward=forward,
        decode_request=decode_request,
        encode_request=encode_request,
        read_answer=read_answer,
        decode_response=decode_response,
        encode_response=encode_response,
        path=path,
    )
