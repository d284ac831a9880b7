"""Which team owns which file."""

import pytest

from schemas.ownership import UnclearGlob, owners_of, patterns_of

OWNERS = {
    "platform": ["**"],
    "support": ["use-cases/support/**", "models/support-*.yaml"],
    "quality": ["use-cases/*/tests.yaml"],
    "catalogue": ["models", "providers/*"],
}


@pytest.mark.parametrize(
    ("path", "teams"),
    [
        ("pointsman.yaml", ("platform",)),
        ("use-cases/support/use-case.yaml", ("platform", "support")),
        ("use-cases/support/eval/set.jsonl", ("platform", "support")),
        ("use-cases/support/tests.yaml", ("platform", "quality", "support")),
        ("use-cases/coding/tests.yaml", ("platform", "quality")),
        ("use-cases/coding/eval/tests.yaml", ("platform",)),
        ("use-cases/support", ("platform",)),
        ("models/support-1.yaml", ("catalogue", "platform", "support")),
        ("models/old/gpt-5.yaml", ("catalogue", "platform")),
        ("providers/openai.yaml", ("catalogue", "platform")),
        ("providers/old/openai.yaml", ("platform",)),
    ],
)
def test_every_team_with_a_glob_that_matches_owns_the_file(path: str, teams: tuple[str, ...]) -> None:
    assert owners_of(path, OWNERS) == teams


@pytest.mark.parametrize(
    ("glob", "words"),
    [
        ("use-cases/**/tests.yaml", '"**" stands alone, and at the end'),
        ("use-cases/sup**", '"**" stands alone, and at the end'),
        ("use-cases/[ab]/x", "is not a path"),
        ("!models/x.yaml", "is not a path"),
        ("#models", "is not a path"),
        ("my models/x", "is not a path"),
        ("use-cases//x", "is not a path"),
        ("../x", "is not a path"),
    ],
)
def test_a_glob_that_hosts_would_read_otherwise_is_refused(glob: str, words: str) -> None:
    with pytest.raises(UnclearGlob, match=words.replace("*", r"\*")):
        patterns_of(glob)
