"""One line of `use-cases/<use-case>/eval/set.jsonl`: what is asked, and what would be right."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from schemas.rules.base import Day, Rules, Text

Weight = Annotated[
    Decimal, Field(gt=0), WithJsonSchema({"type": "number", "title": "a number above 0", "exclusiveMinimum": 0})
]
Human = Annotated[
    StrictBool | Decimal,
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "number"}], "title": "true, false or a score"}),
]
LongText = Annotated[str, StringConstraints(min_length=1)]


class Message(Rules):
    """A turn of a conversation, as OpenAI's Chat Completions has it."""

    role: Literal["system", "user", "assistant", "tool"]
    """Whose turn."""
    content: LongText | tuple[dict[str, Any], ...] | None = None
    """Its text, or its parts."""
    tool_calls: tuple[dict[str, Any], ...] = ()
    """What an assistant's turn called."""
    tool_call_id: Text | None = None
    """Which call a tool's turn answers."""


class EvalSample(Rules):
    """One sample."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    """Its name, once in the set: results of two models are paired by it."""
    input: LongText | Annotated[tuple[Message, ...], Field(min_length=1)]
    """What is asked: a text, or the turns of a conversation."""
    tools: tuple[dict[str, Any], ...] = ()
    """Tools that may be called, as OpenAI's Chat Completions has them."""
    target: Any = None
    """What would be right: a text, a number, a list of texts that are all right, or an object for graders that look
    into it."""
    cluster: Text | None = None
    """What it has in common with others (a document, a customer), so that they do not vary alone."""
    slice: Text | None = None
    """The part of the traffic that it stands for."""
    weight: Weight | None = None
    """How much of the traffic it stands for."""
    added: Day | None = None
    """When it came into the set."""
    source: Text | None = None
    """Where it is from."""

    @model_validator(mode="after")
    def _asks(self) -> "EvalSample":
        if not isinstance(self.input, str) and self.input[-1].role == "assistant":
            raise PydanticCustomError("ends-with-an-answer", "the last turn is the assistant's: nothing is asked")
        return self


class CalibrationSample(Rules):
    """One line of a judge's calibration: an answer that people have judged."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    """Its name, once in the file."""
    input: LongText | Annotated[tuple[Message, ...], Field(min_length=1)]
    """What was asked."""
    answer: str
    """What was answered."""
    target: Any = None
    """What would have been right."""
    human: Human
    """What people say of it: true or false, or a score on the judge's scale."""
