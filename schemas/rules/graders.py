"""`use-cases/<use-case>/eval/graders.yaml`: what an answer must be like, what each model is asked, and what decides."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from schemas.rules.base import Count, Duration, Name, Rules, Text, text_like

_FILE = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"
FileName = Annotated[
    str,
    StringConstraints(pattern=_FILE, max_length=256),
    text_like(_FILE, "a file in the folder of this one", examples=["rubric.md"]),
]
Tolerance = Annotated[
    Decimal, Field(ge=0), WithJsonSchema({"type": "number", "title": "a number of 0 or more", "minimum": 0})
]
Share = Annotated[
    Decimal,
    Field(ge=0, le=1),
    WithJsonSchema({"type": "number", "title": "a share from 0 to 1", "minimum": 0, "maximum": 1}),
]


class _Grader(Rules):
    id: Name
    """Its name in results."""
    gate: bool = False
    """Whether a sample that does not pass here counts as 0, whatever the other graders say."""


class _OfText(_Grader):
    field: Text | None = None
    """Where in a JSON answer to look, as `order.total`; left out: the whole text."""
    target_field: Text | None = None
    """Where in the sample's target to look; left out: the whole target."""


class ExactGrader(_OfText):
    """The answer is the target, or one of them where the target is a list. White space around it does not count."""

    kind: Literal["exact"]
    ignore_case: bool = False
    """Whether capitals do not matter."""
    ignore_punctuation: bool = False
    """Whether sentence marks, quotes and brackets around the answer do not matter: `"Paris."` is `Paris`."""


class ContainsGrader(_OfText):
    """The answer holds the target, or one of them where the target is a list."""

    kind: Literal["contains"]
    ignore_case: bool = False
    """Whether capitals do not matter."""
    whole_words: bool = False
    """Whether it must stand there as words of its own: `cat` is not in `category`."""


class RegexGrader(_OfText):
    """The answer matches somewhere."""

    kind: Literal["regex"]
    pattern: Text | None = None
    """A Python regular expression; left out: the sample's target is one."""
    group: Annotated[int, Field(ge=0, le=99)] | None = None
    """What this group matched must be the sample's target; left out: a match is enough."""
    ignore_case: bool = False
    """Whether capitals do not matter."""


class NumericGrader(_OfText):
    """A number in the answer is the target's, within a tolerance."""

    kind: Literal["numeric"]
    take: Literal["only", "first", "last"] = "last"
    """Which number, where the answer has several; `only` fails then."""
    within: Tolerance = Decimal(0)
    """How far off it may be."""
    within_percent: Tolerance = Decimal(0)
    """How far off it may be, in percent of the target. The wider of the two counts."""


class JsonSchemaGrader(_Grader):
    """The answer is JSON of a schema. A fence around it (```json) does not count."""

    kind: Literal["json_schema"]
    schema_file: Annotated[FileName, Field(alias="schema")]
    """The file with the JSON Schema; references lead nowhere but into itself."""
    field: Text | None = None
    """Where in the answer to look; left out: the whole of it."""


class ToolCallGrader(_Grader):
    """The answer calls the tools that the target names: `{tool_calls: [{name, arguments}]}`, or a list of such."""

    kind: Literal["tool_call"]
    match: Literal["name", "name+args"] = "name+args"
    """Whether the arguments must be the target's too. Arguments that the target does not name are not looked at."""
    in_order: bool = False
    """Whether they must come in the target's order."""
    allow_more: bool = False
    """Whether calls beside the target's are fine."""


class PythonGrader(_Grader):
    """A function of your own, `def grade(sample: dict, answer: dict) -> float | bool | None`. It runs in a process of
    its own, and only while `eval run` grades: never in `check`, never in the controller."""

    kind: Literal["python"]
    file: FileName
    """The file that defines it."""
    function: Name = "grade"
    """Its name."""
    timeout: Duration = 10.0
    """How long one answer may take."""
    memory_mb: Annotated[int, Field(ge=64, le=65_536)] = 512
    """How much memory the process may have."""


class Scale(Rules):
    """The judge's scores."""

    worst: Annotated[int, Field(ge=0, le=100)] = 1
    """The lowest score."""
    best: Annotated[int, Field(ge=1, le=100)] = 5
    """The highest score."""

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.worst >= self.best:
            raise PydanticCustomError("scale-does-not-grow", "the best score is above the worst")
        return self


class JudgeGrader(_Grader):
    """Another model judges the answer, by a rubric. It is asked through the sidecar like any other."""

    kind: Literal["llm_judge"]
    model: Text
    """Who judges: a model, or `model@provider`. Never one of a vendor whose model is judged."""
    rubric: FileName
    """The file that says what is good."""
    mode: Literal["score", "beats_target"] = "score"
    """A score on a scale, or how it fares beside the sample's target: 1 better, 0.5 alike, 0 worse."""
    scale: Scale = Scale()
    """With `mode: score`."""
    pass_at: Annotated[int, Field(ge=0, le=100)] | None = None
    """The score from which it passes; left out: its place on the scale counts, from 0 to 1."""
    swap_order: bool = True
    """Whether it is asked twice, in both orders, since judges prefer what stands first; the mean counts."""
    calibration: FileName | None = None
    """Answers that people judged, JSON lines `{id, input, answer, target, human}`: its agreement with them is measured.
    """
    min_kappa: Share = Decimal("0.6")
    """Cohen's kappa below which `eval compare` does not believe this judge."""
    max_output_tokens: Count = 512
    """How long its verdict may be."""


Grader = Annotated[
    ExactGrader
    | ContainsGrader
    | RegexGrader
    | NumericGrader
    | JsonSchemaGrader
    | ToolCallGrader
    | PythonGrader
    | JudgeGrader,
    Field(discriminator="kind"),
]


class Asking(Rules):
    """How each sample is asked; what is left out is up to the provider."""

    system: Annotated[str, StringConstraints(min_length=1, max_length=100_000)] | None = None
    """Instructions before each sample."""
    max_output_tokens: Count | None = None
    """How long an answer may be."""
    temperature: Annotated[Decimal, Field(ge=0, le=2)] | None = Field(
        default=None, json_schema_extra={"type": "number", "minimum": 0, "maximum": 2}
    )
    """How much chance there is in an answer."""
    stop: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = ()
    """Where an answer ends."""
    seed: int | None = None
    """For providers that repeat an answer by it."""


class SliceDecision(Rules):
    """What decides on one slice."""

    margin: Share
    """How much worse a candidate may be there."""


class Guardrails(Rules):
    """What a candidate may not do, however good its answers are."""

    latency_p95_ratio: Annotated[Decimal, Field(gt=0)] | None = Field(
        default=None, json_schema_extra={"type": "number", "exclusiveMinimum": 0}
    )
    """How much its slowest answers may be slower: 1.3 is by 30 percent."""
    refusal_rate_max: Share | None = None
    """The share of answers that may be refusals."""


class Decision(Rules):
    """What `eval compare` is asked; `eval run` prints that command."""

    margin: Share | None = None
    """How much worse a candidate may be: 0.02 is two points."""
    min_samples: Count | None = None
    """Below it no verdict is given."""
    min_saving: Share | None = None
    """What a cheaper candidate must save."""
    slices: Mapping[Name, SliceDecision] = {}
    """Slices with a margin of their own."""
    guardrails: Guardrails = Guardrails()
    """What rules a candidate out."""


class Graders(Rules):
    """How the answers of an eval set are judged."""

    version: Count
    """Yours to raise when a grader changes; results carry it."""
    graders: Annotated[tuple[Grader, ...], Field(min_length=1)]
    """Each gives an answer a value from 0 to 1."""
    combine: Literal["all", "any", "mean"] = "all"
    """What makes a success of the graders that are no gates: the least of their values, the greatest, or the mean."""
    epochs: Annotated[int, Field(ge=1, le=100)] = 1
    """How often each sample is asked."""
    ask: Asking = Asking()
    """How each sample is asked."""
    decision: Decision = Decision()
    """What decides."""
