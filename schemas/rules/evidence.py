"""`use-cases/<use-case>/evidence/<date>-<candidate>.json`: what was measured before a change; tools write it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, WithJsonSchema

from schemas.rules.base import Count, Day, Name, Rules, Text

Verdict = Literal["superior", "non_inferior", "inferior", "inconclusive"]
Action = Literal["promote", "quality_fallback", "keep", "need_more", "cost_fallback"]
Also = Literal["diversity_fallback", "cost_fallback", "split", "cascade"]
LintCode = Annotated[str, StringConstraints(pattern=r"^L[0-9]+$")]
Hash = Annotated[str, StringConstraints(min_length=8, max_length=128)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Tally = Annotated[int, Field(ge=0)]
Number = Annotated[Decimal, WithJsonSchema({"type": "number"})]
Positive = Annotated[Decimal, Field(ge=0), WithJsonSchema({"type": "number", "minimum": 0})]
Share = Annotated[Decimal, Field(ge=0, le=1), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
Alpha = Annotated[
    Decimal,
    Field(gt=0, lt=1),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
]
Ends = Annotated[
    tuple[Number, Number],
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
]


class Counts(Rules):
    """On how many samples which of the two was right."""

    both: Tally
    """Both."""
    only_candidate: Tally
    """The candidate alone."""
    only_incumbent: Tally
    """The incumbent alone."""
    neither: Tally
    """None."""


class Asked(Rules):
    """What was asked of the candidate, as `eval compare` takes it."""

    margin: Alpha
    """How much worse it may be: 0.02 is two points."""
    alpha: Alpha = Decimal("0.05")
    """Intervals hold with 1 - alpha."""
    min_samples: Tally
    """Below it there is no verdict."""
    min_saving: Share
    """What a cheaper one must save."""
    much_saving: Share
    """What a worse one must save to be kept for when the money is spent."""
    ceiling_usd: Positive | None = None
    """What a request may cost on average."""
    floor: Share | None = None
    """Below it no model may serve."""
    chance: Share = Decimal(0)
    """What guessing scores."""
    max_latency_ratio: Positive | None = None
    """How much its p95 latency may grow."""
    max_refusals: Share | None = None
    """How many answers may be refusals."""
    min_kappa: Number = Decimal("0.6")
    """How far a judge must agree with people."""


class Arm(Rules):
    """One of the two models."""

    quality: Share
    """Mean of the primary metric."""
    interval: Ends
    """Wilson's, of that mean."""
    cost_usd: Positive | None = None
    """A sample; left out: unknown."""
    cost_per_success_usd: Positive | None = None
    """Left out: unknown, or it never succeeded."""
    latency_p50_ms: Positive | None = None
    """Left out: unknown."""
    latency_p95_ms: Positive | None = None
    """Left out: unknown."""


class Lint(Rules):
    """Something that is odd in the data."""

    code: LintCode
    """As `eval compare --accept` takes it."""
    message: Text
    """What was found."""
    stops: bool
    """Whether somebody must take responsibility for it."""


class Results(Rules):
    """The rows behind the figures, without prompts and answers."""

    sha256: Sha256
    """Of the file's bytes."""
    file: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.jsonl$", max_length=256)] | None = (
        None
    )
    """Its name beside this file; left out: it was not committed."""


class Evidence(Rules):
    """What a comparison of two models on a use case's own samples found."""

    format: Annotated[Literal[1], Field(alias="schema")]
    """Version of this form."""
    use_case: Name
    """Whose samples they are."""
    incumbent: Name
    """The model that served."""
    candidate: Name
    """The model that may take over."""
    created: Day
    """The day on which it was written; it counts for 90 days."""
    tool_version: Text
    """What wrote it."""
    set_hash: Hash | None = None
    """Of `eval/set.jsonl` with `graders.yaml`, as the results carry it; left out: they carry none."""
    n: Tally
    """Samples that both models were graded on."""
    clusters: Tally
    """Independent groups among them; `n` where each stands alone."""
    epochs: tuple[Count, Count]
    """The least and the largest number of repetitions of a sample."""
    method: Literal["tango", "t"]
    """How the interval was made: from the counts, or from means and their larger error."""
    counts: Counts | None = None
    """Of samples that are right or wrong and stand alone: enough to find quality's figures again."""
    diff: Number
    """Candidate less incumbent."""
    interval: Ends
    """Of the difference."""
    m_star: Positive
    """The least margin that these data prove."""
    mcnemar_p: Share
    """Of no difference."""
    verdict: Verdict
    """By where the interval lies."""
    action: Action
    """What the verdict permits, with costs and guardrails looked at."""
    also: tuple[Also, ...] = ()
    """What it permits besides."""
    cost_ratio: Positive | None = None
    """Candidate over incumbent; left out: unknown."""
    cost_ratio_interval: Ends | None = None
    """Of that ratio."""
    asked: Asked
    """What was asked of the candidate."""
    arms: Mapping[Literal["incumbent", "candidate"], Arm]
    """Each by itself."""
    guardrails: tuple[Text, ...] = ()
    """Those that the candidate fails, as sentences."""
    lints: tuple[Lint, ...] = ()
    """What is odd in the data."""
    accepted: Mapping[LintCode, Name] = {}
    """Lints that a team takes responsibility for: code to team."""
    harness_version: Text | None = None
    """What ran the samples."""
    price_version: Text | None = None
    """At which prices."""
    results: Results
    """The rows behind these figures."""
