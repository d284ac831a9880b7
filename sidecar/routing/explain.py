"""A plan as people and scripts read it: the answer of `explain`, the same from the command and from the sidecar."""

import msgspec

from sidecar.routing.plan import Plan
from sidecar.routing.snapshot import Skipped


class Step(msgspec.Struct, frozen=True):
    model: str
    provider: str
    reason: str


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    use_case: str
    plan: tuple[Step, ...]
    skipped: tuple[Step, ...]
    refusal: str | None = None
    """The ceiling whose rule says to refuse."""
    arm: str = ""
    """Where a canary or a split had a say: the model that the conversation's lot fell to."""
    propensity: float | None = None
    """How likely it was to fall there."""
    steering: str = ""
    """Why the canary has its share, or none, where a controller decided that."""
    below_bar: tuple[Step, ...] = ()
    """Who may be asked once more when a plain answer fails a check of the quality bar, in order."""


def explained(plan: Plan) -> Explanation:
    return Explanation(
        use_case=plan.use_case.name,
        plan=tuple(Step(item.target.model, item.target.provider, item.reason) for item in plan.steps),
        skipped=tuple(_step(item) for item in plan.skipped),
        refusal=plan.refusal,
        arm=plan.arm,
        propensity=plan.propensity,
        steering=plan.steering,
        below_bar=tuple(Step(target.model, target.provider, "quality_escalation") for target in plan.better),
    )


def _step(item: Skipped) -> Step:
    return Step(item.model, item.provider, item.reason)
