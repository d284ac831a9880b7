from pathlib import Path

import pytest

from controller.errors import CannotStart
from controller.tokens import bearer_in, load_tokens

TOKEN = "a-token-of-some-length"


def test_made_tokens_are_private_different_and_stay(tmp_path: Path) -> None:
    tokens = load_tokens(tmp_path, make=True)
    assert tokens.sidecar != tokens.admin
    again = load_tokens(tmp_path, make=True)
    assert (again.sidecar, again.admin) == (tokens.sidecar, tokens.admin)
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
    ("header", "token"),
    [
        (f"Bearer {TOKEN}", TOKEN),
        (f"bearer  {TOKEN} ", TOKEN),
        (f"Basic {TOKEN}", ""),
        (TOKEN, ""),
        ("Bearer", ""),
        ("Bearer wr\u00f6ng", ""),
        ("Bearer \udcff", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_bearer_in(header: str | None, token: str) -> None:
    assert bearer_in(header) == token


def test_while_a_token_is_rotated_the_old_and_the_new_one_are_valid(tmp_path: Path) -> None:
    tokens = load_tokens(tmp_path, make=True)
    old, path = tokens.sidecar, tmp_path / "sidecar.token"
    path.write_text(f"{TOKEN}\n{old}\n")
    assert tokens.is_sidecar(TOKEN)
    assert tokens.is_sidecar(old)
    assert tokens.sidecar == TOKEN
    path.write_text(TOKEN)
    assert not tokens.is_sidecar(old)
    assert not tokens.is_admin(TOKEN)


@pytest.mark.parametrize("content", ["", "short", f"{TOKEN}-2\nshort"])
def test_a_file_that_became_wrong_changes_nothing(tmp_path: Path, content: str) -> None:
    tokens = load_tokens(tmp_path, make=True)
    valid = tokens.sidecar
    (tmp_path / "sidecar.token").write_text(content)
    assert tokens.is_sidecar(valid)
    assert not tokens.is_sidecar("")
    (tmp_path / "sidecar.token").unlink()
    assert tokens.is_sidecar(valid)
