"""Who may do what: two bearer tokens in files, one for sidecars and one for people who act."""

import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path

from controller import files
from controller.errors import CannotStart

SIDECAR_FILE = "sidecar.token"
ADMIN_FILE = "admin.token"
MIN_TOKEN_CHARACTERS = 16
"""Shorter ones are a mistake: an empty file would let everybody in."""


@dataclass(frozen=True, slots=True)
class Tokens:
    sidecar: str
    """Watching, status and usage ingest."""
    admin: str
    """Acts: pin, rollback."""


def load_tokens(folder: Path, *, make: bool) -> Tokens:
    """Reads both files of a folder; with `make`, one that is missing is made.

    Raises:
        CannotStart: a file is missing or holds no usable token.
    """
    return Tokens(sidecar=_load(folder / SIDECAR_FILE, make=make), admin=_load(folder / ADMIN_FILE, make=make))


def load_hook_secret(path: Path) -> bytes:
    """Raises `CannotStart`: the file is missing or holds no usable secret."""
    return _load(path, make=False).encode()


def bearer_matches(authorization: str | None, token: str) -> bool:
    """Compares in constant time, so that answers do not tell how much of a guess was right."""
    scheme, _, given = (authorization or "").partition(" ")
    return hmac.compare_digest(given.strip().encode(), token.encode()) and scheme.lower() == "bearer"


def _load(path: Path, *, make: bool) -> str:
    if make and not path.exists():
        files.save(path, secrets.token_urlsafe(32).encode())
    try:
        token = path.read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        raise CannotStart(f"no token file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"cannot read a token from {path}: {type(error).__name__}") from error
    if len(token) < MIN_TOKEN_CHARACTERS:
        raise CannotStart(f"{path} must hold a token of at least {MIN_TOKEN_CHARACTERS} characters")
    return token
