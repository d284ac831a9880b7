"""The controller's own bearer tokens, in two files: one for sidecars that see everything, one for people who act."""

import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path

from controller import files
from controller.access.reread import Reread
from controller.errors import CannotStart

SIDECAR_FILE = "sidecar.token"
ADMIN_FILE = "admin.token"
MIN_TOKEN_CHARACTERS = 16
"""Shorter ones are a mistake: an empty file would let everybody in."""


class Tokens:
    """Either file may hold several tokens, a line each: while one is rotated, the old and the new one are valid."""

    def __init__(self, sidecar_file: Path, admin_file: Path) -> None:
        """Raises `CannotStart`: a file is missing or holds no usable token."""
        self._sidecar = Reread(sidecar_file, _load_lines)
        self._admin = Reread(admin_file, _load_lines)

    @property
    def sidecar(self) -> str:
        """Watching, status and usage ingest, of everything: the first of those that are valid."""
        return self._sidecar.value()[0]

    @property
    def admin(self) -> str:
        """Acts: pin, rollback."""
        return self._admin.value()[0]

    @property
    def valid(self) -> tuple[str, ...]:
        """All that count just now: those that let act first."""
        return (*self._admin.value(), *self._sidecar.value())

    def is_sidecar(self, token: str) -> bool:
        return _is_one_of(token, self._sidecar.value())

    def is_admin(self, token: str) -> bool:
        return _is_one_of(token, self._admin.value())


def load_tokens(folder: Path, *, make: bool) -> Tokens:
    """Reads both files of a folder; with `make`, one that is missing is made.

    Raises:
        CannotStart: a file is missing or holds no usable token.
    """
    for path in (folder / SIDECAR_FILE, folder / ADMIN_FILE) if make else ():
        if not path.exists():
            files.save(path, secrets.token_urlsafe(32).encode())
    return Tokens(folder / SIDECAR_FILE, folder / ADMIN_FILE)


def load_hook_secret(path: Path) -> bytes:
    """Raises `CannotStart`: the file is missing or holds no usable secret."""
    return "\n".join(_load_lines(path)).encode()


def bearer_in(authorization: str | None) -> str:
    """The token of `Authorization: Bearer`; empty where there is none, or one that no token looks like."""
    scheme, _, given = (authorization or "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" and given.isascii() else ""


def _is_one_of(given: str, tokens: Sequence[str]) -> bool:
    """In constant time, and all are compared: answers do not tell how much of a guess was right, nor of which token."""
    return any([hmac.compare_digest(given.encode(), token.encode()) for token in tokens])


def _load_lines(path: Path) -> tuple[str, ...]:
    try:
        lines = tuple(line.strip() for line in path.read_text(encoding="ascii").splitlines() if line.strip())
    except FileNotFoundError as error:
        raise CannotStart(f"no token file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"cannot read a token from {path}: {type(error).__name__}") from error
    if not lines or any(len(line) < MIN_TOKEN_CHARACTERS for line in lines):
        raise CannotStart(
            f"{path} must hold a token of at least {MIN_TOKEN_CHARACTERS} characters, or one on each line"
        )
    return lines
