"""What every rule file is made of: the strict base model, and scalars that people write (names, money, durations)."""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.bundle import Capability, DialectName, Effort, Knob, ServerToolName, WhenAway

__all__ = ["Capability", "DialectName", "Effort", "Knob", "ServerToolName", "WhenAway"]


class Rules(BaseModel):
    """A part of a rule file: a key that it does not know is an error, never ignored."""

    # What a file of one kind is checked against is built when the first such file is read.
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=False, defer_build=True)


_SECONDS_IN = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$"
MAX_DURATION_SECONDS = 86_400


def seconds_of(text: object) -> float:
    """`60s`, `2m`, `500ms`, `1.5h` to seconds.

    Raises:
        PydanticCustomError: not a duration, none at all, or longer than a day.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", text) if isinstance(text, str) else None
    if match is None:
        raise PydanticCustomError("not-a-duration", "expected a duration such as 60s, 2m or 500ms")
    seconds = float(Decimal(match[1]) * _SECONDS_IN[match[2]])
    if not 0 < seconds <= MAX_DURATION_SECONDS:
        raise PydanticCustomError("duration-out-of-range", "a duration is more than nothing and at most 24h")
    return seconds


def day_of(text: object) -> date:
    """`2026-10-01` to a date.

    Raises:
        PydanticCustomError: not written so, or no such day.
    """
    if isinstance(text, date):
        return text
    try:
        if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return date.fromisoformat(text)
    except ValueError as error:
        raise PydanticCustomError("not-a-date", "no such day in the calendar") from error
    raise PydanticCustomError("not-a-date", "expected a date written as 2026-10-01")


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def text_like(pattern: str, title: str, *, max_length: int = 256, **more: object) -> WithJsonSchema:
    """The published schema of a text with a pattern; `title` completes "… is not" in a finding."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "maxLength": max_length, "title": title, **more})


_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[
    str,
    StringConstraints(pattern=_NAME, max_length=128),
    text_like(_NAME, "a name of letters, digits, dots, dashes and underscores", max_length=128),
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Duration = Annotated[
    float,
    BeforeValidator(seconds_of),
    WithJsonSchema(
        {"type": "string", "title": "a duration", "pattern": DURATION_PATTERN, "examples": ["60s", "2m", "500ms"]}
    ),
]
Day = Annotated[
    date,
    BeforeValidator(day_of),
    WithJsonSchema({"type": "string", "title": "a date", "format": "date", "examples": ["2026-10-01"]}),
]
Amount = Annotated[
    Decimal,
    Field(gt=0, le=1_000_000_000),
    WithJsonSchema({"type": "number", "title": "an amount in US dollars", "exclusiveMinimum": 0, "maximum": 10**9}),
]
PricePerMillion = Annotated[
    Decimal,
    Field(ge=0, le=1_000_000),
    WithJsonSchema(
        {"type": "number", "title": "an amount in US dollars per million tokens", "minimum": 0, "maximum": 10**6}
    ),
]
Percent = Annotated[
    Decimal,
    Field(gt=0, le=100),
    WithJsonSchema({"type": "number", "title": "a percentage", "exclusiveMinimum": 0, "maximum": 100}),
]
Count = Annotated[int, Field(gt=0, le=10**12)]
Globs = Annotated[
    tuple[Glob, ...],
    BeforeValidator(_one_or_many),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
            ],
            "title": "one glob or a list of globs",
        }
    ),
]


class Limits(Rules):
    """How much may pass, over all sidecars together. What is left out is not limited."""

    requests_per_minute: Count | None = None
    """Calls in any 60 seconds."""
    tokens_per_minute: Count | None = None
    """Input and output tokens together in any 60 seconds."""
    concurrency: Count | None = None
    """Calls in flight at the same time."""
    enforce: bool = True
    """False: what would be refused is counted and reported, and passes."""
    on_store_error: WhenAway = "local_share"
    """While the shared store cannot be reached: each sidecar keeps to its share, everything passes, or nothing does."""

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.requests_per_minute is None and self.tokens_per_minute is None and self.concurrency is None:
            raise PydanticCustomError("limits-nothing", "name requests_per_minute, tokens_per_minute or concurrency")
        return self


class Timeouts(Rules):
    """How long each part of a call may take, as `60s`, `2m` or `500ms`."""

    deadline: Duration | None = None
    """The whole call, every attempt included."""
    connect: Duration | None = None
    """Opening the connection to a provider."""
    first_token: Duration | None = None
    """From sending the request to the first piece of the answer."""
    stream_idle: Duration | None = None
    """The longest silence inside a streamed answer."""


class Retry(Rules):
    """How often to try."""

    max_attempts: Annotated[int, Field(ge=1, le=20)] | None = None
    """Attempts of one call in all, over all targets."""
    same_target: Annotated[int, Field(ge=0, le=1)] | None = None
    """How often one target may be tried again before the next one: 0 or 1."""
