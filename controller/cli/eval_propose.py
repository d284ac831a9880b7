"""`pointsman eval propose`: the rule change that a comparison allows, with its evidence, on a branch of its own."""

import argparse
import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from controller.branch import NoBranch, commit_on_branch, text_at_head, top_of, uncommitted
from controller.cli.eval_compare import (
    DEFAULTS,
    UnclearResults,
    WrongUsage,
    add_comparison,
    comparison_of,
    print_unclear,
)
from controller.cli.rules_folder import NoRules, add_folder, add_today, day_of, read_rules, refused
from controller.evals.compare import Comparison
from controller.evals.evidence import NoEvidence, write_evidence
from controller.evals.folder import read_eval_files
from controller.evals.proposal import NotPermitted, Proposal, body_of, place_for
from controller.evals.read import load_results
from controller.evals.rule_edit import CannotEdit, Place, with_choice
from schemas.eval_files import EvalSet, eval_folders, load_eval
from schemas.load import load
from schemas.problems import did_you_mean
from schemas.rules.rule_set import RuleSet
from schemas.rules.use_case import UseCase

if TYPE_CHECKING:
    from argparse import _SubParsersAction

NAME: Final = "eval propose"


@dataclass(frozen=True, slots=True)
class _Made:
    proposal: Proposal
    body: str
    branch: str
    """Empty: nothing was committed."""
    commit: str
    files: tuple[str, ...]
    comparison: Comparison


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "propose", help="the rule change that a comparison allows, with its evidence, on a branch",
        description="Compares as `eval compare` does, changes use-case.yaml as far as the verdict permits, and commits "
        "it with its evidence on a new branch; your work tree stays as it is. Exit status: 0 with a proposal, 1 where "
        "the verdict permits none, 2 for wrong usage.",
    )  # fmt: skip
    add_folder(parser)
    add = parser.add_argument
    add("--use-case", required=True, metavar="NAME", help="whose rules change")
    add("--results", type=Path, metavar="FILE", help="one file with both models, in place of the two below")
    add_comparison(parser, by_files=False)
    add("--as", dest="place", choices=get_args(Place), help="where the candidate goes [default: as the verdict says]")
    add("--percent", type=_percent, default="5", help="of a canary [default: 5]")
    add("--branch", metavar="NAME", help="[default: pointsman/<use case>-<candidate>]")
    add("--no-commit", action="store_true", help="write into the folder instead of a branch")
    add("--with-results", action="store_true", help="keep the results' figures beside the evidence in any case")
    add_today(parser, "date the evidence to this day (default: today)")
    add("--format", choices=("text", "json", "markdown"), default="text", help="[default: text]")


def run(args: argparse.Namespace) -> int:
    try:
        made = _propose(args)
    except UnclearResults as error:
        return print_unclear(error.problems, args.format)
    except (WrongUsage, NoRules, NoBranch, CannotEdit) as error:
        return refused(NAME, error)
    except (NoEvidence, NotPermitted) as error:
        print(f"pointsman {NAME}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        return refused(NAME, f"{error.filename}: {error.strerror}")
    except ImportError as error:
        return refused(NAME, f"{error.name} is missing: pip install 'pointsman[controller]'")
    match args.format:
        case "json":
            print(json.dumps(_as_json(made)))
        case "markdown":
            sys.stdout.write(made.body)
        case _:
            print(_as_text(made))
    return 0


def _propose(args: argparse.Namespace) -> _Made:
    today = day_of(args)
    _, loaded = read_rules(args.folder, today)
    if loaded.rule_set is None:
        raise WrongUsage("the rules cannot be read; pointsman check says why")
    content = _use_case(loaded.rule_set, args.use_case)
    file = f"use-cases/{args.use_case}/use-case.yaml"
    eval_set = _eval_set(args.folder, args.use_case, loaded.rule_set)
    accepted_by = _accepted_by(args, content.owner)
    _fill(args, content, eval_set)
    comparison = comparison_of(args)
    _check_models(comparison, content, loaded.rule_set)
    is_canary = content.canary is not None and content.canary.model == comparison.candidate.model
    written = write_evidence(
        comparison, use_case=args.use_case, created=today, accepted_by=accepted_by, with_results=args.with_results
    )
    if eval_set is not None and written.evidence.set_hash not in (None, eval_set.hash):
        raise NoEvidence("the eval set or its graders have changed since these results: measure again")
    place = place_for(comparison.outcome, args.place, is_canary=is_canary)
    folder = f"use-cases/{args.use_case}/evidence"
    names = comparison.incumbent.model, comparison.candidate.model
    proposal = Proposal(args.use_case, place, *names, args.percent, f"{folder}/{written.name}")
    body = body_of(proposal, comparison)
    files = {f"{folder}/{name}": data for name, data in written.files.items()}
    if args.no_commit:
        return _in_folder(args, proposal, comparison, body, file, files)
    return _on_branch(args, proposal, comparison, body, file, files)


def _in_folder(
    args: argparse.Namespace, proposal: Proposal, comparison: Comparison, body: str, file: str, files: dict[str, bytes]
) -> _Made:
    path = args.folder / file
    files[file] = _changed(args, path.read_bytes().decode("utf-8"), proposal)
    for name, data in files.items():
        (args.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (args.folder / name).write_bytes(data)
    return _Made(proposal, body, "", "", tuple(sorted(files)), comparison)


def _on_branch(
    args: argparse.Namespace, proposal: Proposal, comparison: Comparison, body: str, file: str, files: dict[str, bytes]
) -> _Made:
    top_of(args.folder)
    if uncommitted(args.folder, f"use-cases/{args.use_case}"):
        raise NoBranch(
            f"use-cases/{args.use_case} has changes that are not committed: commit them first, so that the branch "
            "holds the rules and the eval set that were looked at; or --no-commit"
        )
    files[file] = _changed(args, text_at_head(args.folder, file), proposal)
    branch = args.branch or f"pointsman/{args.use_case}-{proposal.candidate}"
    message = f"{proposal.title}\n\n{comparison.outcome.verdict_reason}\n{comparison.outcome.action_reason}\n"
    commit = commit_on_branch(args.folder, branch, files, message)
    return _Made(proposal, body, branch, commit, tuple(sorted(files)), comparison)


def _changed(args: argparse.Namespace, text: str, proposal: Proposal) -> bytes:
    """The rule file as proposed, if the rules are no worse by it."""
    edited = with_choice(text, proposal.place, proposal.candidate, percent=proposal.percent)
    file = f"use-cases/{proposal.use_case}/use-case.yaml"
    today = day_of(args)
    files, before = read_rules(args.folder, today)
    after = load({**files, file: edited}, today=today, revision="proposed")
    known = {(one.code, one.message) for one in before.problems}
    wrong = [one for one in after.problems if one.severity == "error" and (one.code, one.message) not in known]
    if wrong:
        raise CannotEdit("\n  ".join(["these rules would not pass; mend them first:", *map(str, wrong)]))
    return edited.encode()


def _use_case(rules: RuleSet, name: str) -> UseCase:
    if name not in rules.use_cases:
        near = did_you_mean(name, rules.use_cases) or f"there are {', '.join(sorted(rules.use_cases)) or 'none'}"
        raise WrongUsage(f'there is no use case "{name}"; {near}')
    return rules.use_cases[name].content


def _eval_set(folder: Path, use_case: str, rules: RuleSet) -> EvalSet | None:
    below = eval_folders(read_eval_files(folder, use_case)).get(use_case)
    return None if below is None else load_eval(use_case, below, rules)[0]


def _accepted_by(args: argparse.Namespace, owner: str) -> dict[str, str]:
    """`L2`, or `L2=team`; who says no team speaks for the use case's owner."""
    found = {}
    for word in (part.strip() for words in args.accept for part in words.split(",") if part.strip()):
        code, _, team = word.partition("=")
        found[code.strip().upper()] = team.strip() or owner
    args.accept = list(found)
    return found


def _fill(args: argparse.Namespace, content: UseCase, eval_set: EvalSet | None) -> None:
    """What the use case and its graders say, where the command line does not."""
    if args.results is not None:
        if args.incumbent or args.candidate:
            raise WrongUsage("--results goes without --incumbent and --candidate")
        args.incumbent = args.candidate = args.results
        args.incumbent_model = args.incumbent_model or content.primary
        if args.candidate_model is None:
            others = [model for model in load_results(args.results).models if model != args.incumbent_model]
            if len(others) != 1:
                raise WrongUsage(f"choose by --candidate-model: {', '.join(others) or 'the file has no other model'}")
            args.candidate_model = others[0]
    elif args.incumbent is None or args.candidate is None:
        raise WrongUsage("name --results FILE, or both --incumbent FILE and --candidate FILE")
    if args.ceiling is None and content.cost_ceiling is not None and content.cost_ceiling.per_request is not None:
        args.ceiling = float(content.cost_ceiling.per_request)
    asked = None if eval_set is None else eval_set.graders.decision
    for name in ("margin", "min_samples", "min_saving"):
        said = getattr(asked, name, None)
        if said is not None and getattr(args, name) == getattr(DEFAULTS, name):
            setattr(args, name, type(getattr(DEFAULTS, name))(said))


def _check_models(comparison: Comparison, content: UseCase, rules: RuleSet) -> None:
    incumbent, candidate = comparison.incumbent.model, comparison.candidate.model
    if incumbent != content.primary:
        raise WrongUsage(f"the incumbent is {incumbent}, and the primary is {content.primary}: compare with that")
    if candidate not in rules.models:
        near = did_you_mean(candidate, rules.models) or "add its file first"
        raise WrongUsage(f'there is no models/{candidate}.yaml for the candidate "{candidate}"; {near}')


def _as_json(made: _Made) -> dict[str, object]:
    proposal, outcome = made.proposal, made.comparison.outcome
    return {
        "use_case": proposal.use_case,
        "as": proposal.place,
        "incumbent": proposal.incumbent,
        "candidate": proposal.candidate,
        "verdict": outcome.verdict,
        "action": outcome.action,
        "branch": made.branch or None,
        "commit": made.commit or None,
        "files": list(made.files),
        "title": proposal.title,
        "body": made.body,
    }


def _as_text(made: _Made) -> str:
    lines = [f"{made.proposal.title}.", made.comparison.outcome.verdict_reason, ""]
    if made.branch:
        lines += [f"branch {made.branch}, commit {made.commit[:12]}:", *(f"  {file}" for file in made.files)]
        lines += ["", "next, with the text below in FILE:", f"  git push origin {made.branch}"]
        lines += [f"  gh pr create --head {made.branch} --title {shlex.quote(made.proposal.title)} --body-file FILE"]
    else:
        lines += ["written:", *(f"  {file}" for file in made.files), "", "next:", "  pointsman check --base HEAD"]
    return "\n".join([*lines, "", made.body.rstrip()])


def _percent(text: str) -> str:
    try:
        if 0 < float(text) <= 100:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f'"{text}" is no percentage above 0 and at most 100')
