"""CODEOWNERS asks the teams that own a file, and nobody else: held against git's own reading of its patterns."""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.codeowners import codeowners, org_of
from schemas.ownership import UnclearGlob, owners_of

NAMES = ("use-cases", "support", "coding", "models")
PATTERNS = (*NAMES, "*", "su*", "co?ing")
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(lambda names: "/".join([*names, "file.yaml"]))
GLOBS = st.builds(
    lambda folders, last: "/".join([*folders, last]),
    st.lists(st.sampled_from(PATTERNS), max_size=3),
    st.sampled_from(["**", "*", "file.yaml", "file.*", *PATTERNS]),
)


def asked(text: str, paths: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Who is asked to review each path: the last line that matches, each line as git reads it."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(paths, ())
    with TemporaryDirectory() as folder:
        git = ("git", "-C", folder, "-c", "core.excludesFile=line")
        subprocess.run([*git[:3], "init", "--quiet"], check=True)
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            pattern, *teams = line.split()
            (Path(folder) / "line").write_text(pattern + "\n")
            done = subprocess.run(
                [*git, "check-ignore", "--no-index", "--stdin"], input="\n".join(paths), capture_output=True, text=True
            )
            for path in done.stdout.splitlines():
                # The one exception that GitHub's page names: "docs/*" does not reach into folders of docs.
                if not (pattern.endswith("/*") and path.count("/") >= pattern.count("/")):
                    found[path] = tuple(team.removeprefix("@acme/") for team in teams)
    return found


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.lists(GLOBS, min_size=1, max_size=3)), st.sets(PATHS))
@settings(max_examples=60)
def test_the_last_line_that_matches_names_the_owners(owners: Mapping[str, list[str]], paths: Iterable[str]) -> None:
    wanted = {path: owners_of(path, owners) for path in sorted(paths)}
    assert asked(codeowners(owners, "acme"), sorted(paths)) == wanted


def test_an_overlap_has_a_line_of_its_own_below_both() -> None:
    owners = {"platform": ["**"], "quality": ["use-cases/*/tests.yaml"], "support": ["use-cases/support/**"]}
    assert codeowners(owners, "acme").splitlines()[1:] == [
        "* @acme/platform",
        "/use-cases/support/ @acme/platform @acme/support",
        "/use-cases/*/tests.yaml @acme/platform @acme/quality",
        "/use-cases/support/tests.yaml @acme/platform @acme/quality @acme/support",
    ]


def test_an_overlap_that_no_line_can_say_is_refused() -> None:
    with pytest.raises(UnclearGlob, match="overlap in part"):
        codeowners({"a": ["models/gpt-*"], "b": ["models/*-mini"]}, "acme")


def test_overlaps_of_one_team_need_no_line() -> None:
    lines = codeowners({"a": ["models/gpt-*.yaml", "models/*-mini.yaml"], "b": ["providers/**"]}, "acme").splitlines()
    assert lines[1:] == ["/providers/ @acme/b", "/models/gpt-*.yaml @acme/a", "/models/*-mini.yaml @acme/a"]


@pytest.mark.parametrize(("text", "org"), [("", None), ("* @acme/all\n", None), (codeowners({}, "acme/ai"), "acme/ai")])
def test_whose_file_it_is_stands_in_its_first_line(text: str, org: str | None) -> None:
    assert org_of(text) == org
