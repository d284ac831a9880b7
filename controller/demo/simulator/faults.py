"""The faults that a simulated provider can be told to have, and the rules that say which calls get them."""

import itertools
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Chunks = Annotated[int, msgspec.Meta(ge=0)]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What goes wrong with one call. Several may be set; they happen in the order of a call's life."""

    delay: Seconds = 0
    """Waited before anything is answered."""
    hang: bool = False
    """Accepts the request and never answers."""
    close: bool = False
    """Closes the connection before any byte."""
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    """Answers with this status and the provider's own error body."""
    message: str | None = None
    code: str | None = None
    """With `status`: another text, and another code (OpenAI) or type (Anthropic), than the usual ones."""
    retry_after: Seconds | None = None
    """With `status`: seconds, in a `retry-after` header."""
    retry_after_form: Literal["seconds", "date", "ms"] = "seconds"
    """As seconds, as an HTTP date, or in `retry-after-ms`."""
    garbage: Literal["html", "json", "sse"] | None = None
    """200 with an HTML page, with JSON that ends too early, or (streams) with an event that is not JSON."""
    first_token_delay: Seconds = 0
    """Waited after the headers and opening events, before the first content (or before a plain body)."""
    stall: Chunks | None = None
    """After this many content chunks (a plain answer: after its headers) nothing comes until the client leaves."""
    cut: Chunks | None = None
    """After this many content chunks (a plain answer: half of its body) the connection ends."""
    cut_how: Literal["close", "reset", "clean"] = "close"
    """Closed inside the body, reset, or ended as if complete (a stream without finish and end marks, half a JSON)."""
    error_event: Chunks | None = None
    """After this many content chunks comes the dialect's own error event, and the stream ends."""
    no_usage: bool = False
    """The answer reports no usage."""
    no_done: bool = False
    """The finish reason comes, the end mark (`[DONE]`, `message_stop`) does not."""
    text: str | None = None
    """The model says this and nothing else."""
    refusal: bool = False
    """The model declines to answer, as its dialect says so."""
    bad_json: bool = False
    """Tool arguments and structured output do not parse."""


class FaultRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The next `times` calls of a model have this fault."""

    fault: Fault
    model: str = "*"
    """A name or a glob."""
    times: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """None: every call, until the faults are deleted."""
    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    """So many calls of the model go well first."""


class ActiveRule(msgspec.Struct, frozen=True):
    id: int
    rule: FaultRule
    seen: int
    """How many calls matched it so far."""

    @property
    def is_spent(self) -> bool:
        return self.rule.times is not None and self.seen >= self.rule.after + self.rule.times


class Faults:
    """The active rules. The first that matches a call and has begun gives its fault; each match counts."""

    def __init__(self) -> None:
        self._ids: Iterator[int] = itertools.count(1)
        self.rules: list[ActiveRule] = []

    def add(self, rule: FaultRule) -> ActiveRule:
        active = ActiveRule(next(self._ids), rule, 0)
        self.rules.append(active)
        return active

    def clear(self) -> None:
        self.rules.clear()

    def take(self, model: str) -> Fault | None:
        for at, active in enumerate(self.rules):
            if active.is_spent or not fnmatchcase(model, active.rule.model):
                continue
            self.rules[at] = msgspec.structs.replace(active, seen=active.seen + 1)
            if active.seen >= active.rule.after:
                return active.rule.fault
        return None
