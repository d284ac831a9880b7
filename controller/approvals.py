"""Who must approve a change of the rules: its files against the owners that held before it. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from schemas.ownership import owners_of
from schemas.problems import Problem
from schemas.rules.rule_set import RuleSet


@dataclass(frozen=True, slots=True)
class Approval:
    """One changed file, and the teams of which one must agree."""

    file: str
    teams: tuple[str, ...]
    """Empty where nobody owns the file."""


def approvals(changed: Collection[str], owners: Mapping[str, Sequence[str]]) -> tuple[Approval, ...]:
    """By file; none where no owners are listed, for then everybody may change everything.

    Args:
        owners: of the base, so that no change can name its own approvers.
    """
    return tuple(Approval(file, owners_of(file, owners)) for file in sorted(changed)) if owners else ()


def ownership_problems(
    needed: Sequence[Approval], authors: Collection[str], before: RuleSet, after: RuleSet | None
) -> Iterator[Problem]:
    """Files that none of the authors' teams owns; without authors, those that their use case's owner does not own."""
    for approval in needed:
        teams = set(authors) or _owner_of_use_case(approval.file, before, after)
        if not approval.teams:
            message = "no team owns this file, so that nobody can approve its change"
            suggestion = f"the team that owns {before.platform.file} must list it under owners first"
            yield Problem(approval.file, 0, 0, "unowned-change", "error", message, suggestion)
        elif teams and not teams & set(approval.teams):
            message = f"changed by {_any_of(sorted(teams))}, and owned by {' and '.join(approval.teams)}"
            suggestion = f"{_any_of(approval.teams)} must approve"
            yield Problem(approval.file, 0, 0, "not-the-owner", "error", message, suggestion)


def _owner_of_use_case(file: str, before: RuleSet, after: RuleSet | None) -> set[str]:
    """The team that answers for it, as the base says; a use case that is new is its own word. Empty elsewhere."""
    folder, _, rest = file.partition("/")
    name, _, _ = rest.partition("/")
    for rules in (before, after) if folder == "use-cases" else ():
        if rules is not None and (use_case := rules.use_cases.get(name)) is not None:
            return {use_case.content.owner}
    return set()


def _any_of(teams: Sequence[str]) -> str:
    return " or ".join(teams)
