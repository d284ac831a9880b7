"""`use-cases/<use-case>/tests.yaml`: what must hold of the rules, as facts and faults in, route out."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, RootModel, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from schemas.rules.base import Capability, Name, Rules, Text
from schemas.rules.use_case import HeaderName

Spending = Annotated[
    Decimal, Field(ge=0), WithJsonSchema({"type": "number", "title": "an amount in US dollars", "minimum": 0})
]


def _moment_of(text: object) -> datetime:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PydanticCustomError("not-a-time", "expected a time with its zone, as 2026-11-23T09:00:00Z")
    return moment


Moment = Annotated[
    datetime,
    BeforeValidator(_moment_of),
    WithJsonSchema(
        {"type": "string", "title": "a time with a zone", "format": "date-time", "examples": ["2026-11-23T09:00:00Z"]}
    ),
]


class Spent(Rules):
    """What the use case has spent so far, in US dollars."""

    per_day: Spending | None = None
    """Today."""
    per_month: Spending | None = None
    """This month."""


class Given(Rules):
    """The world around the request."""

    down: tuple[Text, ...] = ()
    """What is not answering: providers, models, or single targets written as `model@provider`."""
    spent: Spent = Spent()
    """What the use case has spent so far."""
    answered_by: Text | None = None
    """What gave the conversation's last answer: a model, or a target written as `model@provider`."""
    at: Moment | None = None
    """When the request arrives, as `2026-11-23T09:00:00Z`; where left out: noon (UTC) of the coming Monday."""


class Request(Rules):
    """Facts of the request; what is left out is not so."""

    input_tokens: Annotated[int, Field(ge=0)] = 0
    """Estimated input tokens."""
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    """The longest answer that the caller asks for."""
    tools: bool = False
    """It brings tools."""
    vision: bool = False
    """It brings images."""
    files: bool = False
    """It brings files."""
    audio: bool = False
    """It brings or wants audio."""
    json_schema: bool = False
    """It asks for an answer in a JSON Schema."""
    reasoning: bool = False
    """It asks for reasoning."""
    prompt_cache: bool = False
    """It marks parts of the prompt for the provider's cache."""
    embeddings: bool = False
    """It asks for embeddings: the call keeps to one model, whatever fails."""
    needs: tuple[Capability, ...] = ()
    """The capabilities above, as a list."""
    stream: bool = False
    """It asks for a streamed answer."""
    agent: str = ""
    """The agent's name."""
    caller: str = ""
    """The caller's name."""
    headers: Mapping[HeaderName, str] = {}
    """Request headers."""
    metadata: Mapping[Text, str] = {}
    """Metadata in the body."""
    conversation: str = ""
    """Its conversation, as the header `x-pointsman-conversation` names it: where the lots of canary and split fall."""


class Expect(Rules):
    """What must come out. Everything that is named must hold."""

    route: tuple[Name, ...] | None = None
    """The models that would be called, in order, each named once; `[]` when the call must be refused."""
    first: Name | None = None
    """The model that is called first."""
    reason: Text | None = None
    """Why the first one is called: `primary`, `fallback`, `rules[0]`, `canary`, `split`, `sticky`,
    `cost_ceiling.per_day`, …

    With `route: []`: the ceiling that refuses the call.
    """
    skipped: Mapping[Name, Text] = {}
    """Models that must be left out, each with its reason: `capability.vision`, `context_window`, …"""

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if self.route is None and self.first is None and self.reason is None and not self.skipped:
            raise PydanticCustomError("nothing-expected", "name route, first, reason or skipped")
        return self


class RuleTest(Rules):
    """One promise of the rules."""

    name: Text
    """The promise in words."""
    given: Given = Given()
    """The world around the request: outages, money spent, the time."""
    request: Request = Request()
    """Facts of the request."""
    expect: Expect
    """What must come out."""


class RuleTests(RootModel[tuple[RuleTest, ...]]):
    """Promises of one use case's rules."""

    model_config = {"frozen": True}
