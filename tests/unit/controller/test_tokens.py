from pathlib import Path

import pytest

from controller.errors import CannotStart
from controller.tokens import bearer_matches, load_tokens

TOKEN = "a-token-of-some-length"


def test_made_tokens_are_private_different_and_stay(tmp_path: Path) -> None:
    tokens = load_tokens(tmp_path, make=True)
    assert tokens.sidecar != tokens.admin
    assert load_tokens(tmp_path, make=True) == tokens
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.token")} == {0o600}
    assert (tmp_path / "sidecar.token").read_text() == tokens.sidecar


def test_a_named_folder_must_hold_both(tmp_path: Path) -> None:
    (tmp_path / "sidecar.token").write_text(TOKEN + "\n")
    with pytest.raises(CannotStart, match=r"admin\.token"):
        load_tokens(tmp_path, make=False)


@pytest.mark.parametrize("content", ["", "\n", "short", "ünïcode-and-long-enough"])
def test_an_empty_or_odd_token_lets_nobody_in(tmp_path: Path, content: str) -> None:
    (tmp_path / "sidecar.token").write_text(content)
    with pytest.raises(CannotStart, match=r"sidecar\.token"):
        load_tokens(tmp_path, make=True)


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer {TOKEN}", True),
        (f"Basic {TOKEN}", False),
        (TOKEN, False),
        ("Bearer", False),
        ("Bearer wröng", False),
        ("", False),
        (None, False),
    ],
)
def test_bearer_matches(header: str | None, matches: bool) -> None:
    assert bearer_matches(header, TOKEN) is matches
