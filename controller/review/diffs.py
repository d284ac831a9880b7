"""What a review proposes, as unified diffs: rule files edited as text, and read again to be sure. Pure."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from controller.evals.rule_edit import CannotEdit, with_choice
from controller.review.decide import Review, UseCaseReview
from schemas.load import load
from schemas.problems import has_errors
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.rules.use_case import UseCase
from schemas.yaml_source import Path

REVIEW_DAYS: Final = 90
"""A quarter: until the next review."""


@dataclass(frozen=True, slots=True)
class Proposal:
    title: str
    diff: str
    """Unified; empty where a person has to write it."""


def propose(review: Review, rules: RuleSet, files: Mapping[str, str]) -> tuple[Proposal, ...]:
    """One for each decision other than keep, then one that sets the review dates of what stays."""
    proposals = [_of_use_case(one, rules, files, review.today) for one in review.use_cases if one.decision != "keep"]
    for model in review.models:
        if model.decision == "retire":
            proposals.append(_removal(f"retire {model.model}", [rules.models[model.model].file], files, review.today))
    kept = [rules.use_cases[one.use_case] for one in review.use_cases if one.decision == "keep"]
    dated = {file.file: _dated(files[file.file], file, review.today) for file in kept}
    if changed := {file: text for file, text in dated.items() if text is not None}:
        proposals.append(_change("set the dates of this review", changed, files, review.today))
    return tuple(proposals)


def _of_use_case(one: UseCaseReview, rules: RuleSet, files: Mapping[str, str], today: date) -> Proposal:
    file = rules.use_cases[one.use_case]
    if one.decision == "retire":
        folder = file.file.rpartition("/")[0] + "/"
        gone = [path for path in files if path.startswith(folder)]
        return _removal(f"retire {one.use_case}", gone, files, today)
    title = f"shift {one.use_case} from {one.primary} to {one.to}"
    try:
        return _change(title, {file.file: with_choice(files[file.file], "primary", one.to)}, files, today)
    except CannotEdit:
        return Proposal(title, "")


def _dated(text: str, file: RuleFile[UseCase], today: date) -> str | None:
    """None: its layout is not one that dates can be put into."""
    until = (today + timedelta(days=REVIEW_DAYS)).isoformat()
    review = file.content.review
    if review is None:
        return f"{text.rstrip()}\nreview: {{last: {today}, by: {until}}}\n"
    edited = _replaced(text, file, ("review", "by"), review.by.isoformat(), until)
    if edited is None or review.last is None or review.last == today:
        return edited
    return _replaced(edited, file, ("review", "last"), review.last.isoformat(), today.isoformat())


def _replaced(text: str, file: RuleFile[UseCase], path: Path, old: str, new: str) -> str | None:
    """The scalar at its place, quotes left as they are. The line is searched: an edit before it may have moved it."""
    line, column = file.document.place_of(path)
    lines = text.splitlines(keepends=True)
    at = re.compile(rf"(?<![\w.-]){re.escape(old)}(?![\w.-])")
    found = [one for one in at.finditer(lines[line - 1]) if one.start() >= column - 1]
    if not found:
        return None
    start, end = found[0].span()
    lines[line - 1] = lines[line - 1][:start] + new + lines[line - 1][end:]
    return "".join(lines)


def _change(title: str, changed: Mapping[str, str], files: Mapping[str, str], today: date) -> Proposal:
    return _checked(title, {**files, **changed}, files, today)


def _removal(title: str, gone: list[str], files: Mapping[str, str], today: date) -> Proposal:
    return _checked(title, {path: text for path, text in files.items() if path not in gone}, files, today)


def _checked(title: str, after: Mapping[str, str], files: Mapping[str, str], today: date) -> Proposal:
    """No diff where the rules would have an error by it."""
    if has_errors(load(after, today=today, revision="review").problems):
        return Proposal(title, "")
    parts = [_diff(path, files[path], after.get(path)) for path in sorted(files) if files[path] != after.get(path)]
    return Proposal(title, "".join(parts))


def _diff(path: str, old: str, new: str | None) -> str:
    to = "/dev/null" if new is None else f"b/{path}"
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), (new or "").splitlines(keepends=True), f"a/{path}", to
    )  # fmt: skip
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
