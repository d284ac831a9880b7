"""`pointsman eval run --engine inspect`: the eval set, or a task file of one's own, run by Inspect AI."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from controller.cli.progress import Progress
from controller.cli.rules_folder import refused
from controller.evals.engines.inspect import InspectPlan, run_with_inspect
from controller.evals.imports.importing import UnclearChoice
from controller.evals.run.sidecar import Stop
from controller.evals.run.summary import as_text, compare_command, summary_of
from controller.evals.written import save_rows
from schemas.eval_files import EvalSet
from schemas.rules.graders import Decision

ENGINES: Final = ("own", "inspect")
LEFT_OUT: Final = {"budget": "--budget", "retry_failed": "--retry-failed"}


def add_options(add: Callable[..., argparse.Action]) -> None:
    add(
        "--engine", choices=ENGINES, default="own",
        help="who asks: inspect is Inspect AI, for tasks with tools and agents (extra evals-inspect) [default: own]",
    )  # fmt: skip
    add("--task", metavar="FILE[@NAME]", help="with --engine inspect: a task of your own instead of the eval set")
    add("--metric", metavar="NAME", help="with --task: the score that counts [default: the one Inspect shows first]")
    add("--log-dir", type=Path, metavar="DIR", help="where Inspect leaves its logs [default: logs, beside --out]")


def misused(args: argparse.Namespace, out: Path) -> str | None:
    """What does not go together, in words; None where all does."""
    if args.engine != "inspect":
        named = [name for name in ("task", "metric", "log_dir") if getattr(args, name) is not None]
        return f"--{named[0].replace('_', '-')} goes with --engine inspect" if named else None
    for name, option in LEFT_OUT.items():
        if getattr(args, name):
            return f"{option} does not go with --engine inspect, which does not keep it; leave it out"
    if args.metric is not None and args.task is None:
        return "--metric goes with --task: an eval set has its graders"
    if args.task is not None and not Path(args.task.partition("@")[0]).is_file():
        return f"--task {args.task}: there is no such file"
    if out.exists():
        return f"{out} is there already, and Inspect runs from the start; name another --out"
    return None


def run(
    args: argparse.Namespace,
    out: Path,
    eval_set: EvalSet | None,
    models: Sequence[str],
    vendors: Mapping[str, str],
    key: str | None,
) -> int:
    """
    Args:
        eval_set: None where a task of one's own is run.
    """
    plan = InspectPlan(
        use_case=args.use_case,
        models=models,
        log_dir=args.log_dir or out.parent / "logs",
        eval_set=eval_set,
        task=args.task,
        metric=args.metric,
        epochs=args.epochs,
        limit=args.limit,
        concurrency=args.concurrency,
    )
    try:
        with Progress("results") as progress:
            rows, outcome = run_with_inspect(plan, args.sidecar, key, progress.show)
        save_rows(out, rows)
        set_hash = rows[0].set_hash or ""
        judged = () if eval_set is None else eval_set.graders.graders
        summary = summary_of(outcome, args.use_case, set_hash, judged, models, vendors)
        out.with_name(f"{out.name}.summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    except ImportError as error:
        return refused("eval run", f"{error.name} is missing: pip install 'pointsman[evals-inspect]'")
    except UnclearChoice as error:
        return refused("eval run", error)
    except Stop as stop:
        print(f"pointsman eval run: stopped: {stop}", file=sys.stderr)
        return 1
    if args.format == "json":
        print(json.dumps(summary))
        return 0
    print(as_text(summary))
    print(f"{len(rows):,} results in {out}; Inspect's logs are in {plan.log_dir}")
    for model in models[1:]:
        decision = Decision() if eval_set is None else eval_set.graders.decision
        print(compare_command(out, (models[0], model), decision))
    return 0
