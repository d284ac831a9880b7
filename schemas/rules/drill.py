"""`evidence/*-drill-*.json`: what a rehearsed outage showed, as far as rules are judged by it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.rules.base import Day


class DrillResult(BaseModel):
    """What `pointsman drill --write` keeps; the figures that it holds besides are for people."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    use_case: str
    down: Annotated[tuple[str, ...], Field(min_length=1)]
    """Models and providers."""
    on: Literal["paper", "sidecar"]
    """`sidecar`: calls were sent."""
    verdict: Literal["survives", "degraded", "stops"]
    expires: Day
