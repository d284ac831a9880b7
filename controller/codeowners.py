"""CODEOWNERS from the owners in pointsman.yaml, so that GitHub and GitLab ask the right team for review. Pure.

There the last line that matches a file decides alone, and one approval of those it names is enough; here every team
with a glob that matches owns the file. So each overlap of two teams' globs gets a line of its own, below both.
https://docs.github.com/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners
https://docs.gitlab.com/user/project/codeowners/reference/
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from schemas.ownership import Owners, Pattern, UnclearGlob, patterns_of
from schemas.problems import Problem
from schemas.rules.platform import Platform
from schemas.rules.rule_set import RuleFile

FILE = "CODEOWNERS"
MAX_PATTERNS = 5000
"""GitHub reads at most 3 MB; people read less."""
_HEAD = "# Made from the owners in pointsman.yaml by: pointsman codeowners --org {org}"
_HEAD_FORM = re.compile(re.escape(_HEAD).replace(r"\{org\}", "(?P<org>.+)"))
ORG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*")


def codeowners(owners: Owners, org: str) -> str:
    """The file, from wide to narrow; a team is `@org/team`.

    Raises:
        UnclearGlob: a glob cannot be read, or two overlap in a way that no line can say.
    """
    by_team = {team: [pattern for glob in globs for pattern in patterns_of(glob)] for team, globs in owners.items()}
    lines = [_HEAD.format(org=org)]
    for pattern, teams in sorted(_with_overlaps(by_team).items(), key=lambda line: _narrowness(line[0])):
        lines.append(" ".join([_line(pattern), *(f"@{org}/{team}" for team in sorted(teams))]))
    return "\n".join(lines) + "\n"


def org_of(text: str) -> str | None:
    """The organisation that our CODEOWNERS names; None where people wrote the file themselves."""
    found = _HEAD_FORM.fullmatch(text.partition("\n")[0])
    return found["org"] if found else None


def codeowners_problems(text: str, platform: RuleFile[Platform]) -> Iterator[Problem]:
    """What is wrong with a CODEOWNERS that stands beside the rules: nothing, where people wrote it themselves."""
    if (org := org_of(text)) is None:
        return
    try:
        is_stale = text != codeowners(platform.content.owners, org)
    except UnclearGlob:
        return  # said of the owners themselves
    if is_stale:
        message = "says something else than the owners in pointsman.yaml"
        yield Problem(FILE, 1, 1, "codeowners-stale", "error", message, f"run: pointsman codeowners --org {org}")


def _with_overlaps(by_team: Mapping[str, Iterable[Pattern]]) -> dict[Pattern, frozenset[str]]:
    """The patterns and their overlaps, each with its teams.

    Where a team owns a path and not the narrowest line that matches it, their overlap is a narrower line.
    """
    known: dict[Pattern, frozenset[str]] = {}
    new = {pattern for patterns in by_team.values() for pattern in patterns}
    while new:
        for pattern in new:
            known[pattern] = frozenset(
                team for team, patterns in by_team.items() if any(wide.covers(pattern) for wide in patterns)
            )
        if len(known) > MAX_PATTERNS:
            raise UnclearGlob(f"the globs overlap in more than {MAX_PATTERNS} ways; write them so that they nest")
        overlaps = {one.intersection(two) for one in new for two in known if known[one] != known[two]}
        new = {pattern for pattern in overlaps if pattern is not None} - known.keys()
    return known


def _narrowness(pattern: Pattern) -> tuple[int, int, bool, tuple[str, ...]]:
    """Rises wherever one pattern lies within another. `/a/b` precedes `/a/b/`, for GitHub reads it as both."""
    letters = sum(len(name.replace("*", "")) for name in pattern.names)
    return letters, len(pattern.names), pattern.is_tree, pattern.names


def _line(pattern: Pattern) -> str:
    """From the root; `/` at the end for a folder and all below, which both hosts read alike."""
    path = "/" + "/".join(pattern.names)
    if not pattern.is_tree:
        return path
    return f"{path}/" if pattern.names else "*"
