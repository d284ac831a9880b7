"""What a comparison allows to change, as a pull request says it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controller.evals.compare import Comparison
from controller.evals.moves import PERMITTED
from controller.evals.report_markdown import as_markdown
from controller.evals.rule_edit import Place
from controller.evals.verdict import Outcome

MAY_BE: Final[Mapping[Place, frozenset[str]]] = {
    "primary": PERMITTED["primary"],
    "canary": frozenset({"promote", "need_more"}),
    "fallback": PERMITTED["fallback"],
    "quality": PERMITTED["quality"],
    "cost": PERMITTED["cost"],
}
"""Which of its actions allow a model at a place."""
FIRST: Final[Mapping[str, Place]] = {
    "promote": "canary", "need_more": "canary", "quality_fallback": "quality", "cost_fallback": "cost",
    "diversity_fallback": "fallback",
}  # fmt: skip
"""Where an action leads, if nothing else is wished."""
MOST_CHARACTERS: Final = 60_000


class NotPermitted(Exception):
    """`str(error)` says what the evidence permits instead."""


@dataclass(frozen=True, slots=True)
class Proposal:
    use_case: str
    place: Place
    incumbent: str
    candidate: str
    percent: str
    evidence_file: str

    @property
    def title(self) -> str:
        match self.place:
            case "primary":
                return f"Let {self.candidate} answer {self.use_case}, before {self.incumbent}"
            case "canary":
                return f"Send {self.percent} % of {self.use_case} to {self.candidate}"
            case "fallback":
                return f"Let {self.candidate} stand in for {self.use_case}"
            case "quality":
                return f"Ask {self.candidate} where answers of {self.use_case} are not good enough"
            case "cost":
                return f"Let {self.candidate} answer {self.use_case} once the money is spent"


def place_for(outcome: Outcome, wished: Place | None, *, is_canary: bool) -> Place:
    """Where the candidate goes: as wished, or where the verdict leads. A canary that is proved becomes the primary.

    Raises:
        NotPermitted: the verdict does not allow that.
    """
    permits = (outcome.action, *outcome.also)
    if wished is None:
        if is_canary and outcome.action == "promote":
            return "primary"
        place = next((FIRST[one] for one in permits if one in FIRST), None)
        if place is None:
            raise NotPermitted(f"{outcome.verdict_reason} {outcome.action_reason} Nothing to propose.")
        return place
    if MAY_BE[wished].isdisjoint(permits):
        allowed = [place for place, actions in MAY_BE.items() if not actions.isdisjoint(permits)]
        instead = f"It may be: --as {' or '.join(allowed)}." if allowed else "Nothing to propose."
        raise NotPermitted(f"not as {wished}. {outcome.verdict_reason} {outcome.action_reason} {instead}")
    return wished


def body_of(proposal: Proposal, comparison: Comparison) -> str:
    """The pull request's text, in Markdown."""
    head = (
        f"{proposal.title}.\n\n{comparison.outcome.verdict_reason} {comparison.outcome.action_reason}\n\n"
        f"Evidence: `{proposal.evidence_file}`. `pointsman check --base` computes it again.\n\n"
    )
    whole = head + as_markdown(comparison)
    return whole if len(whole) <= MOST_CHARACTERS else whole[:MOST_CHARACTERS] + "\n\n… cut here.\n"
