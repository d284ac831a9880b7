"""A comparison as people read it: Markdown for a pull request, and plain text for a terminal. Pure."""

import math
from collections.abc import Iterable, Sequence

from controller.cli.table import render
from controller.evals.cascade import Cascade
from controller.evals.compare import Comparison, Models
from controller.evals.quality import Quality
from controller.evals.slices import SliceFinding, Split
from controller.evals.spending import Estimate
from controller.evals.stats.interval import Interval
from controller.evals.verdict import points

TITLES = {"superior": "better", "non_inferior": "not worse", "inferior": "worse", "inconclusive": "cannot tell"}
ACTIONS = {
    "promote": "promote, by a canary",
    "quality_fallback": "list as the better model",
    "keep": "keep the incumbent",
    "need_more": "run more samples",
    "cost_fallback": "list as the cheaper model",
}
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def as_markdown(comparison: Comparison) -> str:
    """Tables and sentences; the figures behind them are in the JSON form."""
    outcome = comparison.outcome
    lines = [f"## {_escaped(heading(comparison))}", ""]
    lines += [
        f"**{_escaped(title(comparison))}.** {_escaped(outcome.verdict_reason)}",
        "",
        _escaped(outcome.action_reason),
        "",
    ]
    for name, sentences, tables in sections(comparison):
        lines += [f"### {name}", ""]
        for sentence in sentences:
            lines += [f"- {_escaped(sentence)}" if len(sentences) > 1 else _escaped(sentence)]
        lines += [""] if sentences else []
        for head, rows in tables:
            lines += [f"| {' | '.join(map(_escaped, head))} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
            lines += [f"| {' | '.join(map(_escaped, row))} |" for row in rows]
            lines += [""]
    return "\n".join(lines).rstrip() + "\n"


def as_text(comparison: Comparison) -> str:
    outcome = comparison.outcome
    parts = [heading(comparison), f"{title(comparison)}. {outcome.verdict_reason}\n{outcome.action_reason}"]
    for name, sentences, tables in sections(comparison):
        drawn = [render(head, rows, right=frozenset(range(1, len(head)))) for head, rows in tables]
        parts.append("\n".join([name, *(f"  {sentence}" for sentence in sentences), *drawn]))
    return _printable("\n\n".join(parts))


def heading(comparison: Comparison) -> str:
    return f"{comparison.candidate.model} against {comparison.incumbent.model}"


def title(comparison: Comparison) -> str:
    outcome = comparison.outcome
    return f"{TITLES[outcome.verdict].capitalize()}: {ACTIONS[outcome.action]}"


def sections(comparison: Comparison) -> Iterable[tuple[str, Sequence[str], Sequence[Table]]]:
    """Each with its sentences and its tables; what nothing is known of is left out."""
    asked = comparison.decision
    if comparison.lints:
        yield "Data", [_lint_words(lint.code, lint.message, lint.stops, lint.accepted) for lint in comparison.lints], ()
    if comparison.quality is not None:
        yield "Quality", _quality_words(comparison.quality, asked.min_samples, asked.power), [_arms_table(comparison)]
    if comparison.spending is not None or comparison.latency is not None:
        yield "Cost and latency", (), [_running_table(comparison)]
    if comparison.slices:
        yield "Slices", _split_words(comparison.split), [_slices_table(comparison)]
    if comparison.cascade is not None:
        yield "Cascade", _cascade_words(comparison.cascade), ()
    if comparison.models is not None and len(comparison.models.points) > 2:
        yield "All models on these samples", (), [_models_table(comparison.models)]
    if comparison.worst:
        yield "Samples that got worse", (), [_worst_table(comparison)]


def _lint_words(code: str, message: str, stops: bool, accepted: bool) -> str:
    mark = "accepted" if accepted else "stops" if stops else "note"
    return f"{code} ({mark}): {message}."


def _arms_table(comparison: Comparison) -> Table:
    quality = comparison.quality
    assert quality is not None
    rows = [
        [comparison.incumbent.model, f"{quality.incumbent:.1%}", _share_range(quality.incumbent_interval)],
        [comparison.candidate.model, f"{quality.candidate:.1%}", _share_range(quality.candidate_interval)],
    ]
    return ("model", "quality", f"{1 - comparison.decision.alpha:.0%}"), rows


def _quality_words(quality: Quality, min_samples: int, power: float) -> list[str]:
    words = [
        f"Only the candidate does better on {quality.candidate_better:,} samples, only the incumbent on "
        f"{quality.incumbent_better:,} (McNemar, exact: p = {quality.mcnemar_p:.3g}).",
        f"These data prove a margin of {100 * quality.smallest_proved_margin:.1f} points"
        + (
            f"; {quality.n:,} samples show a true difference of {100 * quality.detectable:.1f} points "
            f"in {power:.0%} of all runs."
            if quality.detectable
            else "."
        ),
        f"A margin of {100 * quality.margin:g} points takes {max(quality.needed, min_samples):,} samples "
        f"if the two are equal in truth"
        + (
            f", {max(quality.needed_at_observed, min_samples):,} if the difference is what was seen."
            if quality.needed_at_observed is not None
            else ", and cannot be proved if the difference is what was seen."
        ),
    ]
    if quality.is_clustered:
        words.append(
            f"Samples come in {quality.clusters:,} clusters: standard error {quality.se_clustered:.4f}, "
            f"{quality.se_iid:.4f} if they stood alone; the larger counts."
        )
    return words


def _running_table(comparison: Comparison) -> Table:
    rows: list[list[str]] = []
    spending, latency = comparison.spending, comparison.latency
    if spending is not None:
        rows.append(
            ["USD per sample", _usd(spending.incumbent_usd), _usd(spending.candidate_usd), _times(spending.ratio)]
        )
        per = spending.incumbent_per_success, spending.candidate_per_success
        rows.append(["USD per success", *(_usd(one.value) if one else "–" for one in per), "–"])
        rows.append(["  its range", *(_usd_range(one) for one in per), "–"])
    if latency is not None:
        for share in ("p50", "p95"):
            before, after = getattr(latency, f"incumbent_{share}_ms"), getattr(latency, f"candidate_{share}_ms")
            rows.append(
                [
                    f"latency {share}, ms",
                    f"{before:,.0f}",
                    f"{after:,.0f}",
                    f"× {after / before:.2f}" if before else "–",
                ]
            )
            difference = getattr(latency, f"difference_{share}_ms")
            rows.append([f"  {share} of the differences", "–", f"{difference:+,.0f}", "–"])
    return ("", comparison.incumbent.model, comparison.candidate.model, "ratio"), rows


def _slices_table(comparison: Comparison) -> Table:
    rows = [
        [
            finding.name,
            f"{finding.quality.n:,}",
            f"{finding.quality.incumbent:.1%}",
            f"{finding.quality.candidate:.1%}",
            points_range(finding.quality),
            f"{finding.adjusted_p:.3g}",
            "not worse"
            if finding.passes
            else TITLES[finding.verdict]
            if finding.verdict == "inferior"
            else "cannot tell",
        ]
        for finding in comparison.slices
    ]
    return ("slice", "n", "incumbent", "candidate", "points", "p (Holm)", "shown"), rows


def _split_words(split: Split | None) -> list[str]:
    if split is None:
        return []
    names = ", ".join(split.slices)
    held = f"{points_range(split.quality)} points on the {split.quality.n:,} samples of the other half"
    ratio = split.spending.ratio if split.spending else None
    cost = f", at {ratio.value:.2f} times the cost" if ratio else ""
    verdict = "It passes there" if split.passes else "It does not pass there"
    return [f"Moving {names} alone was proposed by {split.proposed_by:,} samples. {verdict}: {held}{cost}."]


def _cascade_words(cascade: Cascade) -> list[str]:
    interval = cascade.lift_interval
    reach = f" ({points(interval.low)} to {points(interval.high)})" if interval else ""
    strong = cascade.ends.strong
    words = [
        f"{cascade.cheap} first, {cascade.strong} where {cascade.checker} is below {cascade.threshold:g}: "
        f"{cascade.escalated:.1%} of {cascade.n:,} calls go on.",
        f"It reaches {cascade.reached.quality:.1%} at {_usd(cascade.reached.cost)} USD a call, "
        f"{cascade.reached.cost / strong.cost:.1%} of what {cascade.strong} costs for its {strong.quality:.1%}.",
        f"Against a random mix at the same cost: {points(cascade.lift)} points{reach}. "
        + ("It beats chance." if cascade.is_lawful else "It is not shown to beat chance: do not use it."),
    ]
    if cascade.random_usd is not None:
        words.append(f"A random mix as good costs {cascade.random_usd / strong.cost:.1%} of {cascade.strong}.")
    else:
        words.append("No random mix of the two is as good.")
    perfect = cascade.perfect
    words.append(f"A check that is always right would reach {perfect.quality:.1%} at {_usd(perfect.cost)} USD a call.")
    return words


def _models_table(models: Models) -> Table:
    rows = []
    for name, point in sorted(models.points.items(), key=lambda item: (item[1].cost, item[0])):
        place = "hull" if name in models.front.hull else "front" if name in models.front.front else "beaten"
        rows.append([name, f"{point.quality:.1%}", _usd(point.cost), place])
    return ("model", "quality", "USD per sample", "place"), rows


def _worst_table(comparison: Comparison) -> Table:
    rows = [[p.sample_id, p.slice or "–", f"{p.incumbent:g}", f"{p.candidate:g}"] for p in comparison.worst]
    return ("sample", "slice", "incumbent", "candidate"), rows


def points_range(quality: Quality) -> str:
    return f"{points(quality.difference)} ({points(quality.interval.low)} to {points(quality.interval.high)})"


def shown(finding: SliceFinding) -> str:
    """What is shown of a slice, all slices looked at."""
    if finding.passes:
        return "not worse"
    return "worse" if finding.verdict == "inferior" else "cannot tell"


def _times(ratio: Estimate | None) -> str:
    if ratio is None:
        return "–"
    reach = f" ({ratio.interval.low:.2f} to {ratio.interval.high:.2f})" if ratio.interval else ""
    return f"× {ratio.value:.2f}{reach}"


def _usd(amount: float) -> str:
    if math.isinf(amount):
        return "any"
    return f"{amount:.4g}" if amount < 1 else f"{amount:,.2f}"


def _usd_range(estimate: Estimate | None) -> str:
    if estimate is None or estimate.interval is None:
        return "–"
    return f"{_usd(estimate.interval.low)} to {_usd(estimate.interval.high)}"


def _share_range(interval: Interval) -> str:
    return f"{interval.low:.1%} to {interval.high:.1%}"


def _printable(text: str) -> str:
    """Names come from files: none may move the terminal's cursor."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text)


def _escaped(text: str) -> str:
    """Names come from files: none may end a cell, start a tag or mention somebody."""
    for sign, written in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), ("\n", " "), ("`", "\\`")):
        text = text.replace(sign, written)
    return _printable(text).replace("@", "@\u200b")
