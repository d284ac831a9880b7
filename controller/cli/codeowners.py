"""`pointsman codeowners`: CODEOWNERS from the owners in pointsman.yaml, for GitHub and GitLab."""

import argparse
import sys
from typing import TYPE_CHECKING

from controller.cli.rules_folder import NoRules, add_folder, add_today, counted, day_of, read_rules, refused
from controller.codeowners import FILE, ORG, codeowners, org_of
from schemas.ownership import UnclearGlob

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("codeowners", help="write CODEOWNERS from the owners in pointsman.yaml")
    add_folder(parser)
    add_today(parser)
    parser.add_argument(
        "--org",
        help="whose teams they are: @ORG/team; a GitLab group may have several parts (default: as CODEOWNERS says)",
    )


def run(args: argparse.Namespace) -> int:
    file = args.folder / FILE
    try:
        _, loaded = read_rules(args.folder, day_of(args))
        before = file.read_text(encoding="utf-8") if file.is_file() else None
    except (NoRules, OSError, UnicodeDecodeError) as error:
        return refused("codeowners", error)
    ours = org_of(before or "")
    org = args.org or ours
    if before is not None and ours is None:
        return refused("codeowners", f"{file} was not made by this command; move it away to have it made")
    if org is None or not ORG.fullmatch(org):
        return refused("codeowners", "say whose teams they are, as in --org acme")
    if loaded.rule_set is None:
        errors = [problem for problem in loaded.problems if problem.severity == "error"]
        print(*errors, f"{counted(errors)}: nothing was written", sep="\n", file=sys.stderr)
        return 1
    try:
        text = codeowners(loaded.rule_set.platform.content.owners, org)
        file.write_text(text, encoding="utf-8")
    except (UnclearGlob, OSError) as error:
        print(f"pointsman codeowners: {error}", file=sys.stderr)
        return 1
    print(f"{file}: {'as it was' if text == before else 'written'}")
    return 0
