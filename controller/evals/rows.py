"""One sample's result by one model, as runs write it, imports yield it and comparisons read it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Status = Literal["ok", "model_error", "grader_error", "timeout", "refusal", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of a results file; what is unknown is None, never zero."""

    sample_id: str
    model: str
    success: float | None
    """The primary metric, from 0 to 1. None where nobody could grade it; 0 where the model failed to answer."""
    epoch: int = 1
    """Which repetition of the sample, from 1."""
    status: Status = "ok"
    """`model_error` and `timeout` count as 0, since users see them; `grader_error` counts as missing."""
    cluster: str | None = None
    """Samples that share a source (a document, a repository, a conversation) and so do not vary alone."""
    slice: str | None = None
    """The part of the traffic that the sample stands for."""
    provider: str | None = None
    run_id: str | None = None
    set_hash: str | None = None
    params_hash: str | None = None
    prompt_hash: str | None = None
    price_version: str | None = None
    harness_version: str | None = None
    grader_versions: Mapping[str, str] = field(default_factory=dict)
    """Grader's id to its version."""
    scores: Mapping[str, float | None] = field(default_factory=dict)
    """Grader's id to what it gave, on the grader's own scale."""
    in_tok: int | None = None
    out_tok: int | None = None
    cached_tok: int | None = None
    cost_usd: Decimal | None = None
    ttft_ms: float | None = None
    latency_ms: float | None = None
    ts: str | None = None
    """When it ended, RFC 3339."""
