"""Globs of owners match paths as people expect from CODEOWNERS and .gitignore."""

import pytest

from schemas.owners import owners_of, owns


@pytest.mark.parametrize(
    ("glob", "path", "is_owned"),
    [
        ("**", "pointsman.yaml", True),
        ("**", "use-cases/chat/eval/set.jsonl", True),
        ("use-cases/chat/**", "use-cases/chat/use-case.yaml", True),
        ("use-cases/chat/**", "use-cases/chat/eval/set.jsonl", True),
        ("use-cases/chat/**", "use-cases/chatter/use-case.yaml", False),
        ("use-cases/chat/", "use-cases/chat/eval/set.jsonl", True),
        ("use-cases/chat", "use-cases/chat/use-case.yaml", False),
        ("use-cases/support-*/**", "use-cases/support-eu/tests.yaml", True),
        ("use-cases/*", "use-cases/chat/tests.yaml", False),
        ("models/gpt-?.yaml", "models/gpt-5.yaml", True),
        ("models/gpt-?.yaml", "models/gpt-55.yaml", False),
        ("**/tests.yaml", "use-cases/chat/tests.yaml", True),
        ("**/tests.yaml", "tests.yaml", True),
        ("models/a.b", "models/aXb", False),
        ("models/a(b", "models/a(b", True),
    ],
)
def test_globs(glob: str, path: str, is_owned: bool) -> None:
    assert owns(glob, path) is is_owned


def test_every_team_that_owns_a_path_is_named_in_order() -> None:
    owners = {"support": ("use-cases/chat/**",), "platform": ("**",), "other": ("models/**",)}
    assert owners_of("use-cases/chat/tests.yaml", owners) == ("support", "platform")
    assert owners_of("models/x.yaml", {"other": ()}) == ()
