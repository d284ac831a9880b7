"""`pointsman eval run`: asks a use case's eval set of several models through a sidecar, and grades the answers."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from controller.cli import eval_inspect
from controller.cli.progress import Progress
from controller.cli.rules_folder import NoRules, add_folder, day_of, print_problems, read_rules, refused
from controller.cli.values import count
from controller.evals.folder import read_eval_files
from controller.evals.run.journal import JournalUnusable
from controller.evals.run.run import Outcome, Plan
from controller.evals.run.run import run as run_plan
from controller.evals.run.summary import as_summary, as_text, base_of, compare_command
from schemas.eval_files import EvalSet, eval_folders, load_eval
from schemas.problems import Problem, did_you_mean
from schemas.record import Usd
from schemas.rules.graders import JudgeGrader
from schemas.rules.rule_set import RuleSet

if TYPE_CHECKING:
    from argparse import _SubParsersAction

DEFAULT_SIDECAR: Final = "http://127.0.0.1:4100"
MOST_AT_ONCE: Final = 256


class WrongUsage(Exception):
    """`str(error)` says what would be right."""


class BadSet(Exception):
    """The eval set has errors."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What can be run: a set without errors, and models that the rules have."""

    eval_set: EvalSet | None
    """None where a task of one's own is run instead."""
    models: Sequence[str]
    """Each `model` or `model@provider`."""
    vendors: Mapping[str, str]
    """By model of the catalogue."""


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "run", help="ask a use case's eval set of several models, through a sidecar, and grade the answers",
        description="Asks each sample of use-cases/<use case>/eval of each model, pinned and without fallback, and "
        "appends a result at a time to --out; cost and latency are the gateway's own. Started again with the same "
        "--out it goes on where it was: nothing that was answered is asked twice, a kill costs the calls under way. "
        "Exit status: 0 when all is done, 1 when something stood in the way or the set has errors, 2 for wrong usage.",
    )  # fmt: skip
    add_folder(parser)
    add = parser.add_argument
    add("--use-case", required=True, metavar="NAME", help="whose eval set")
    add(
        "--model", action="append", default=[], metavar="MODEL[@PROVIDER]",
        help="whom to ask; once for each, the incumbent first",
    )  # fmt: skip
    add("--epochs", type=count, metavar="K", help="how often each sample is asked [default: as graders.yaml says]")
    add("--limit", type=count, metavar="N", help="only N of the samples, always the same ones [default: all]")
    add(
        "--sidecar", default=os.environ.get("POINTSMAN_SIDECAR") or DEFAULT_SIDECAR, metavar="URL",
        help=f"whom to ask through [POINTSMAN_SIDECAR; default: {DEFAULT_SIDECAR}]",
    )  # fmt: skip
    add(
        "--key", type=Path, default=os.environ.get("POINTSMAN_KEY") or None, metavar="FILE",
        help="file with the key of a caller that is granted pin, where pointsman.yaml names callers [POINTSMAN_KEY]",
    )  # fmt: skip
    add("--concurrency", type=count, default=4, metavar="N", help="calls at once [default: 4]")
    add(
        "--budget", type=_usd, metavar="USD",
        help="end before a call that could pass it, should it cost as much as the dearest of its model so far "
        "[default: no limit]",
    )  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="results, JSON lines [default: <use case>.results.jsonl]")
    add("--retry-failed", action="store_true", help="ask again what failed or could not be graded in an earlier run")
    eval_inspect.add_options(add)
    add("--format", choices=("text", "json"), default="text", help="for people or for programs [default: text]")
    parser.set_defaults(today=None)


def run(args: argparse.Namespace) -> int:
    out: Path = args.out or Path(f"{args.use_case}.results.jsonl")
    try:
        if wrong := eval_inspect.misused(args, out):
            raise WrongUsage(wrong)
        prepared = prepare(args)
        if args.engine == "inspect" or prepared.eval_set is None:
            return eval_inspect.run(args, out, prepared.eval_set, prepared.models, prepared.vendors, _key(args.key))
        plan = Plan(
            eval_set=prepared.eval_set,
            models=prepared.models,
            epochs=args.epochs or prepared.eval_set.graders.epochs,
            limit=args.limit,
            concurrency=min(args.concurrency, MOST_AT_ONCE),
            budget_usd=args.budget,
            again=args.retry_failed,
        )
        with Progress("results") as progress:
            outcome = asyncio.run(run_plan(plan, out, args.sidecar, _key(args.key), progress.show))
        summary = as_summary(outcome, plan.eval_set, plan.models, prepared.vendors)
        out.with_name(f"{out.name}.summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    except (WrongUsage, NoRules, JournalUnusable) as error:
        return refused("eval run", error)
    except BadSet as error:
        print_problems(error.problems, args.folder, args.format)
        return 1
    except OSError as error:
        return refused("eval run", f"{error.filename or out}: {error.strerror}")
    if args.format == "json":
        print(json.dumps(summary))
    else:
        print(as_text(summary))
        _say_what_next(outcome, out, plan)
    if outcome.stopped:
        print(f"pointsman eval run: stopped: {_printable(outcome.stopped)}", file=sys.stderr)
    return 1 if outcome.stopped else 0


def prepare(args: argparse.Namespace) -> Prepared:
    """
    Raises:
        WrongUsage: what is named is not there.
        BadSet: the eval set has errors.
        NoRules, OSError: the folder cannot be read.
    """
    if urlsplit(args.sidecar).scheme not in ("http", "https"):
        raise WrongUsage(f"--sidecar must be a URL such as {DEFAULT_SIDECAR}, not {args.sidecar!r}")
    _, loaded = read_rules(args.folder, day_of(args))
    rules = loaded.rule_set
    if rules is None:
        raise BadSet(loaded.problems)
    if args.use_case not in rules.use_case_names():
        near = did_you_mean(args.use_case, rules.use_case_names()) or _listed(rules.use_case_names())
        raise WrongUsage(f'--use-case: the rules have no use case "{args.use_case}"; {near}')
    eval_set = None if args.task is not None else _eval_set(args, rules)
    vendors = {name: file.content.vendor for name, file in rules.models.items()}
    models = tuple(dict.fromkeys(args.model))
    if not models:
        raise WrongUsage("name at least one --model")
    for model in models:
        _check_model(model, rules)
    if eval_set is not None:
        _refuse_partial_judges(eval_set, models, vendors)
    return Prepared(eval_set, models, vendors)


def _eval_set(args: argparse.Namespace, rules: RuleSet) -> EvalSet:
    below = eval_folders(read_eval_files(args.folder, args.use_case)).get(args.use_case)
    if below is None:
        raise WrongUsage(f"there is no eval set; write use-cases/{args.use_case}/eval/set.jsonl and graders.yaml")
    eval_set, problems = load_eval(args.use_case, below, rules)
    if eval_set is None:
        raise BadSet(problems)
    return eval_set


def _check_model(named: str, rules: RuleSet) -> None:
    model, at_sign, provider = named.partition("@")
    known = rules.models.get(model)
    if known is None:
        near = did_you_mean(model, rules.model_names()) or _listed(rules.model_names())
        raise WrongUsage(f'--model: the rules have no model "{model}"; {near}')
    doors = [served.provider for served in known.content.served_by]
    if at_sign and provider not in doors:
        raise WrongUsage(f'--model: "{model}" is not served by "{provider}"; it is served by {", ".join(doors)}')


def _refuse_partial_judges(eval_set: EvalSet, models: Sequence[str], vendors: Mapping[str, str]) -> None:
    for grader in eval_set.graders.graders:
        if isinstance(grader, JudgeGrader):
            vendor = vendors.get(base_of(grader.model))
            for model in models:
                if vendor is not None and vendors[base_of(model)] == vendor:
                    raise WrongUsage(
                        f"judge {grader.id} is {grader.model} of {vendor}, like {model}, which it would judge: "
                        "let another vendor's model judge"
                    )


def _say_what_next(outcome: Outcome, out: Path, plan: Plan) -> None:
    if outcome.stopped:
        print(f"{outcome.done:,} of {outcome.total:,} results in {out}; the same command goes on from there")
        return
    print(f"{outcome.total:,} results in {out}")
    for model in plan.models[1:]:
        print(compare_command(out, (plan.models[0], model), plan.eval_set.graders.decision))


def _printable(text: str) -> str:
    """A provider's words are in it: none may move the terminal's cursor."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def _key(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        key = file.read_text(encoding="utf-8").strip().partition("\n")[0].rstrip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"--key {file}: it cannot be read") from error
    if not key or not key.isascii() or not key.isprintable():
        raise WrongUsage(f"--key {file}: its first line is no key")
    return key


def _listed(names: "frozenset[str]") -> str:
    return f"there are {', '.join(sorted(names)[:12])}" if names else "there are none"


def _usd(text: str) -> Usd:
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount <= 0:
        raise argparse.ArgumentTypeError(f'"{text}" is no amount above 0, as in 2.50')
    return amount
