"""From figures to a verdict, and from the verdict to what to do: a table, and the sentence that explains it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from controller.evals.decision import Decision
from controller.evals.lints import Lint
from controller.evals.quality import Quality
from controller.evals.spending import Spending

Verdict = Literal["superior", "non_inferior", "inferior", "inconclusive"]
Action = Literal["promote", "quality_fallback", "keep", "need_more", "cost_fallback"]
Also = Literal["diversity_fallback", "cost_fallback", "split", "cascade"]


@dataclass(frozen=True, slots=True)
class Outcome:
    verdict: Verdict
    action: Action
    verdict_reason: str
    action_reason: str
    also: tuple[Also, ...] = ()
    """What may be done besides."""


def verdict_of(quality: Quality | None, min_samples: int) -> Verdict:
    """By where the interval lies: above 0, above the margin, below it, or across it."""
    if quality is None or quality.n < min_samples:
        return "inconclusive"
    if quality.interval.low > 0:
        return "superior"
    if quality.interval.low > -quality.margin:
        return "non_inferior"
    return "inferior" if quality.interval.high < -quality.margin else "inconclusive"


def decide(
    quality: Quality | None,
    spending: Spending | None,
    guardrails: Sequence[str],
    lints: Sequence[Lint],
    decision: Decision,
    names: tuple[str, str],
) -> Outcome:
    """`guardrails` are the sentences of those that fail; `names` are the incumbent's and the candidate's."""
    still_open = [lint.code for lint in lints if lint.is_open]
    if still_open:
        codes = ", ".join(still_open)
        why = f"The data are in doubt ({codes}), so no verdict is given."
        return Outcome("inconclusive", "keep", why, f"Mend the data, or accept {codes} by name (--accept).")
    verdict = verdict_of(quality, decision.min_samples)
    why = _verdict_reason(verdict, quality, decision, names)
    if quality is None:
        return Outcome(verdict, "keep", why, f"Keep {names[0]}: run both models on the same samples first.")
    if guardrails:
        return Outcome(verdict, "keep", why, f"Keep {names[0]}: {'; '.join(guardrails)}.")
    action, reason, also = _act(verdict, quality, spending, decision, names)
    return Outcome(verdict, action, why, reason, also)


def _act(
    verdict: Verdict, quality: Quality, spending: Spending | None, decision: Decision, names: tuple[str, str]
) -> tuple[Action, str, tuple[Also, ...]]:
    incumbent, candidate = names
    is_cheaper = spending is not None and spending.saves(decision.min_saving)
    cost = _cost_words(spending, decision)
    is_above_floor = decision.floor is not None and quality.candidate_interval.low >= decision.floor
    match verdict:
        case "superior":
            if decision.ceiling_usd is None:
                return "promote", f"Promote {candidate} by a canary: it is better, and no ceiling is set.", ()
            if spending is None:
                return (
                    "keep",
                    f"Keep {incumbent}: whether {candidate} fits the ceiling is unknown, it has no costs.",
                    (),
                )
            price = f"${spending.candidate_usd:.6g} a request, the ceiling is ${decision.ceiling_usd:.6g}"
            if spending.candidate_usd <= decision.ceiling_usd:
                return "promote", f"Promote {candidate} by a canary: it is better and costs {price}.", ()
            return "quality_fallback", f"List {candidate} as the better model of the quality bar: it costs {price}.", ()
        case "non_inferior":
            if is_cheaper:
                return "promote", f"Promote {candidate} by a canary: it is not worse, and {cost}.", ()
            reason = f"Keep {incumbent}: {cost}. {candidate} is good enough for a fallback at another provider."
            return "keep", reason, ("diversity_fallback",)
        case "inferior":
            is_much_cheaper = spending is not None and spending.saves(decision.much_saving)
            if is_much_cheaper and is_above_floor:
                reason = f"Keep {incumbent}; {candidate} may serve once the money is spent: {cost}"
                return "cost_fallback", f"{reason}, {_floor_words(quality, decision)}.", ()
            return (
                "keep",
                f"Keep {incumbent}: {candidate} is worse{_no_fallback(is_much_cheaper, decision, quality)}.",
                (),
            )
        case "inconclusive":
            if quality.difference <= -quality.margin:
                reason = f"Keep {incumbent}: at this difference no number of samples would prove the margin."
                if is_cheaper and is_above_floor:
                    return (
                        "keep",
                        f"{reason} {candidate} may serve once the money is spent: {cost}.",
                        ("cost_fallback",),
                    )
                return "keep", reason, ()
            if is_cheaper:
                return "need_more", _more_words(quality, decision, cost), ()
            return "keep", f"Keep {incumbent}: {cost}; more samples would not change that.", ()


def _verdict_reason(verdict: Verdict, quality: Quality | None, decision: Decision, names: tuple[str, str]) -> str:
    incumbent, candidate = names
    if quality is None:
        return "No sample was graded for both models."
    low, high = quality.interval
    found = (
        f"{candidate} against {incumbent}: {points(quality.difference)} points "
        f"({1 - decision.alpha:.0%}: {points(low)} to {points(high)}) on {quality.n:,} samples"
    )
    if quality.is_clustered:
        found += f" in {quality.clusters:,} clusters"
    allowed = f"{100 * quality.margin:g} points"
    if quality.n < decision.min_samples:
        return f"{found}. Below {decision.min_samples:,} samples no verdict is given."
    match verdict:
        case "superior":
            return f"{found}. It is better."
        case "non_inferior":
            return f"{found}. It is not worse by {allowed} or more."
        case "inferior":
            return f"{found}. It is worse by more than {allowed}."
        case "inconclusive":
            proved = 100 * quality.smallest_proved_margin
            return f"{found}. These data prove a margin of {proved:.1f} points, not the {allowed} asked for."


def _more_words(quality: Quality, decision: Decision, cost: str) -> str:
    more, observed = quality.more(decision.min_samples), quality.more_at_observed(decision.min_samples)
    words = f"Run {more:,} more samples ({quality.n + more:,} in all) if the two are equal in truth"
    if observed is not None:
        words += f"; {observed:,} more if the difference is what was seen"
    return f"{words}. By shadow traffic, or by a canary with a sequential stop. It would pay: {cost}."


def _cost_words(spending: Spending | None, decision: Decision) -> str:
    if spending is None or spending.ratio is None:
        return "what it would save is unknown"
    value, interval = spending.ratio.value, spending.ratio.interval
    words = f"it costs {value:.2f} times as much"
    if interval is not None:
        words += f" ({1 - decision.alpha:.0%}: {interval.low:.2f} to {interval.high:.2f})"
    if not spending.saves(decision.min_saving):
        words += f", which does not save {decision.min_saving:.0%} for sure"
    return words


def _floor_words(quality: Quality, decision: Decision) -> str:
    return f"and {quality.candidate_interval.low:.1%} at least is above the floor of {decision.floor or 0:.1%}"


def _no_fallback(is_much_cheaper: bool, decision: Decision, quality: Quality) -> str:
    if not is_much_cheaper:
        return f" and does not save {decision.much_saving:.0%} for sure"
    if decision.floor is None:
        return "; to keep it for when the money is spent, say the floor that it must reach"
    return f" and may fall to {quality.candidate_interval.low:.1%}, below the floor of {decision.floor:.1%}"


def points(difference: float) -> str:
    """In percentage points, with its sign; zero has none."""
    return f"{100 * difference:+.1f}".replace("+0.0", "0.0").replace("-0.0", "0.0")
