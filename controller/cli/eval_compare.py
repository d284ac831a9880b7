"""`pointsman eval compare`: may the candidate take over, by what was recorded of both models?"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from controller.cli.rules_folder import print_first, refused
from controller.evals.arms import Arm, gather
from controller.evals.compare import Comparison, compare
from controller.evals.decision import Decision
from controller.evals.judged import Judge, Judging, UnclearSummary, judging_in, parse_judging
from controller.evals.lints import LINTS
from controller.evals.read import Results, load_results
from controller.evals.report_html import as_html
from controller.evals.report_json import as_json
from controller.evals.report_markdown import as_markdown, as_text
from schemas.problems import Problem, did_you_mean

if TYPE_CHECKING:
    from argparse import _SubParsersAction

"""Named on a terminal; the JSON form has them all."""
FORMATS: Mapping[str, Callable[[Comparison], str]] = {
    "text": lambda comparison: as_text(comparison) + "\n",
    "json": lambda comparison: json.dumps(as_json(comparison)) + "\n",
    "markdown": as_markdown,
    "html": as_html,
}
DEFAULTS = Decision()


class UnclearResults(Exception):
    """Rows that cannot be read."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = tuple(problems)


class WrongUsage(Exception):
    """`str(error)` says what would be right."""


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "compare", help="two models on the same samples: what is sure, what to do, and how many samples more",
        description="Reads two results files, JSON lines or CSV with a row per sample and model, and says whether the "
        "candidate may take over. Exit status: 0 with a verdict, 1 when the data are in doubt, 2 for wrong usage.",
    )  # fmt: skip
    add_comparison(parser)
    parser.add_argument("--format", choices=tuple(FORMATS), default="text", help="[default: text]")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of stdout")


def add_comparison(parser: argparse.ArgumentParser, *, by_files: bool = True) -> None:
    """The two results files, which may be left out unless `by_files`, and what is asked of the candidate."""
    add = parser.add_argument
    add("--incumbent", type=Path, required=by_files, metavar="FILE", help="results of the model that serves now")
    add("--candidate", type=Path, required=by_files, metavar="FILE", help="results of the model that may take over")
    add("--incumbent-model", metavar="MODEL", help="which model's, where the file has several")
    add("--candidate-model", metavar="MODEL", help="which model's, where the file has several")
    add("--margin", type=_margin, default=DEFAULTS.margin, help="how much worse it may be [default: 0.02, two points]")
    add("--min-samples", type=_count, default=DEFAULTS.min_samples, metavar="N", help="no verdict below [default: 100]")
    add(
        "--min-saving",
        type=_share,
        default=DEFAULTS.min_saving,
        metavar="SHARE",
        help="what it must save [default: 0.1]",
    )
    add("--ceiling", type=_amount, metavar="USD", help="what a request may cost on average [default: no ceiling]")
    add(
        "--floor", type=_share, metavar="QUALITY", help="below it no model may serve, however cheap [default: not said]"
    )
    add(
        "--chance",
        type=_share,
        default=0.0,
        metavar="QUALITY",
        help="what guessing scores: 0.25 with four choices [default: 0]",
    )
    add("--max-latency-ratio", type=_amount, metavar="TIMES", help="guardrail: how much its p95 latency may grow: 1.3")
    add("--max-refusals", type=_share, metavar="SHARE", help="guardrail: how many answers may be refusals")
    add(
        "--slices", action="append", default=[], metavar="NAME[=MARGIN],…",
        help="only these slices, each with its own margin if it has one [default: all]",
    )  # fmt: skip
    add(
        "--pareto",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="results of further models, for the front",
    )
    add(
        "--cascade",
        metavar="SCORE",
        help="the score or column by which a cheap answer would be kept (1) or tried again (0)",
    )
    add(
        "--published",
        action="append",
        default=[],
        metavar="MODEL=MEAN",
        help="the mean that the results' source reports itself",
    )
    add("--judge-model", metavar="MODEL", help="whose verdicts the scores are")
    add("--judge-kappa", type=float, metavar="KAPPA", help="how far that judge agrees with people")
    add("--min-kappa", type=float, default=DEFAULTS.min_kappa, metavar="KAPPA", help="how far it must [default: 0.6]")
    add(
        "--accept",
        action="append",
        default=[],
        metavar="CODE",
        help=f"take responsibility for a lint: {', '.join(LINTS)}",
    )


def run(args: argparse.Namespace) -> int:
    try:
        comparison = comparison_of(args)
    except WrongUsage as error:
        return refused("eval compare", error)
    except UnclearResults as error:
        return print_unclear(error.problems, args.format)
    except ImportError as error:
        return refused("eval compare", f"{error.name} is missing: pip install 'pointsman[controller]'")
    written = FORMATS[args.format](comparison)
    if args.out is None:
        sys.stdout.write(written)
    else:
        try:
            args.out.write_text(written, encoding="utf-8")
        except OSError as error:
            return refused("eval compare", f"--out {args.out}: {error.strerror}")
    return 1 if comparison.has_open_lints else 0


def comparison_of(args: argparse.Namespace) -> Comparison:
    """
    Raises:
        WrongUsage: options that fit no results.
        UnclearResults: rows that cannot be read.
    """
    slices = _slices(args.slices)
    accepted = _accepted(args.accept)
    scores = [] if args.cascade is None else [args.cascade]
    files = {path: _read(path, scores) for path in dict.fromkeys((args.incumbent, args.candidate, *args.pareto))}
    problems = [problem for results in files.values() for problem in results.problems]
    if problems:
        raise UnclearResults(problems)
    incumbent = _arm(files[args.incumbent], args.incumbent_model, args.incumbent, "--incumbent-model")
    candidate = _arm(files[args.candidate], args.candidate_model, args.candidate, "--candidate-model")
    published = _published(args.published, {incumbent.model, candidate.model})
    judging = _judging(args, incumbent, candidate)
    if incumbent.model == candidate.model:
        # One model against itself, say before and after a change of its prompt: told apart by their places.
        means = {
            f"{model} ({place})": mean for model, mean in published.items() for place in ("incumbent", "candidate")
        }
        published |= means
        incumbent = replace(incumbent, model=f"{incumbent.model} (incumbent)")
        candidate = replace(candidate, model=f"{candidate.model} (candidate)")
    decision = Decision(
        margin=args.margin,
        slice_margins={name: margin for name, margin in slices.items() if margin is not None},
        min_samples=args.min_samples,
        min_saving=args.min_saving,
        ceiling_usd=args.ceiling,
        floor=args.floor,
        chance=args.chance,
        max_latency_ratio=args.max_latency_ratio,
        max_refusals=args.max_refusals,
        min_kappa=args.min_kappa,
        accepted=accepted,
        published=published,
    )
    _check_parts(incumbent, candidate, slices, args.cascade)
    others = [
        gather(model, results.of_model(model), results.cost_units.get(model, frozenset()))
        for results in (files[path] for path in dict.fromkeys(args.pareto))
        for model in results.models
        if model not in (incumbent.model, candidate.model)
    ]
    return compare(
        incumbent, candidate, decision, judging=judging, others=others, only_slices=slices, checker=args.cascade
    )


def _read(path: Path, scores: Collection[str]) -> Results:
    try:
        return load_results(path, scores=scores)
    except OSError as error:
        raise WrongUsage(f"{path}: {error.strerror}") from error


def _arm(results: Results, wanted: str | None, path: Path, option: str) -> Arm:
    models = results.models
    if wanted is None and len(models) > 1:
        raise WrongUsage(f"{path} holds results of {len(models)} models; choose by {option}: {', '.join(models)}")
    model = models[0] if wanted is None else wanted
    if model not in models:
        raise WrongUsage(
            f'{path} holds no results of "{model}", but of {", ".join(models)}; {did_you_mean(model, models)}'
        )
    return gather(model, results.of_model(model), results.cost_units.get(model, frozenset()))


def _judging(args: argparse.Namespace, incumbent: Arm, candidate: Arm) -> Judging:
    known = judging_in([*incumbent.rows, *candidate.rows])
    for path in dict.fromkeys((args.incumbent, args.candidate)):
        summary = path.with_name(f"{path.name}.summary.json")
        if summary.is_file():
            try:
                known = known.joined(parse_judging(summary.read_text(encoding="utf-8")))
            except (OSError, UnclearSummary, UnicodeDecodeError) as error:
                raise WrongUsage(f"{summary}: {error}") from error
    if args.judge_model is not None or args.judge_kappa is not None:
        known = known.joined(Judging((Judge(model=args.judge_model, kappa=args.judge_kappa),)))
    return known


def _check_parts(incumbent: Arm, candidate: Arm, slices: Collection[str], checker: str | None) -> None:
    samples = [*incumbent.samples.values(), *candidate.samples.values()]
    known = sorted({sample.slice for sample in samples if sample.slice is not None})
    for name in slices:
        if name not in known:
            near = did_you_mean(name, known)
            raise WrongUsage(
                f'--slices: no sample is of slice "{name}"; {near or "there are " + (", ".join(known) or "none")}'
            )
    if checker is not None and not any(sample.scores.get(checker) is not None for sample in samples):
        scores = sorted({name for sample in samples for name in sample.scores})
        raise WrongUsage(
            f'--cascade: no result has a score or column "{checker}"; scores are {", ".join(scores) or "none"}'
        )


def _accepted(codes: Sequence[str]) -> frozenset[str]:
    named = {code.strip().upper() for word in codes for code in word.split(",") if code.strip()}
    for code in sorted(named - LINTS.keys()):
        raise WrongUsage(f'--accept: there is no lint "{code}"; there are {", ".join(LINTS)}')
    return frozenset(named)


def _slices(words: Sequence[str]) -> dict[str, float | None]:
    slices: dict[str, float | None] = {}
    for word in (part.strip() for words_of in words for part in words_of.split(",") if part.strip()):
        name, sign, margin = word.rpartition("=")
        try:
            slices[name if sign else word] = _margin(margin) if sign else None
        except argparse.ArgumentTypeError as error:
            raise WrongUsage(f"--slices {word}: {error}") from error
    return slices


def _published(words: Sequence[str], models: Collection[str]) -> dict[str, float]:
    published = {}
    for word in words:
        model, _, mean = word.rpartition("=")
        if model not in models:
            raise WrongUsage(f"--published {word}: write MODEL=MEAN with one of {', '.join(sorted(models))}")
        try:
            published[model] = _share(mean)
        except argparse.ArgumentTypeError as error:
            raise WrongUsage(f"--published {word}: {error}") from error
    return published


def print_unclear(problems: Sequence[Problem], form: str) -> int:
    if form == "json":
        print(json.dumps({"problems": [_problem(problem) for problem in problems]}))
        return 2
    print_first(problems)
    return 2


def _problem(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file, "line": problem.line, "column": problem.column, "code": problem.code,
        "severity": problem.severity, "message": problem.message, "suggestion": problem.suggestion,
    }  # fmt: skip


def _share(text: str) -> float:
    number = _amount(text)
    if number > 1:
        raise argparse.ArgumentTypeError(f"{text} is above 1: write 0.528 for 52.8 %")
    return number


def _margin(text: str) -> float:
    number = _share(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(
            f"{text} is no margin: write a number above 0 and below 1, 0.02 for two points"
        )
    return number


def _amount(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of 0 or more')
    return number


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number of 0 or more')
    return int(text)
