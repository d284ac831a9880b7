"""A reference to a secret → the secret, read when it is needed. A file is read again when it changes."""

import os
from collections.abc import Sequence
from pathlib import Path

from schemas.bundle import Secret
from sidecar.errors import CredentialRefused


class Credentials:
    """Holds what files said, so that a call costs a `stat` and not a read."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[int, str]] = {}

    def read(self, secret: Secret) -> str:
        """Raises CredentialRefused when the variable is unset or the file cannot be read; names it, not its content."""
        if secret.env is not None:
            value = os.environ.get(secret.env, "").strip()
            if not value:
                raise CredentialRefused(f"the environment variable {secret.env} is not set")
            return value
        assert secret.file is not None, "a secret names a variable or a file"
        return self._from_file(secret.file)

    def read_those_there(self, secrets: Sequence[Secret]) -> dict[Secret, str]:
        """Every key that can be read now. Raises CredentialRefused, for the first of them, when none can."""
        keys: dict[Secret, str] = {}
        refused: list[CredentialRefused] = []
        for secret in secrets:
            try:
                keys[secret] = self.read(secret)
            except CredentialRefused as error:
                refused.append(error)
        if not keys:
            raise refused[0]
        return keys

    def _from_file(self, name: str) -> str:
        try:
            changed = os.stat(name).st_mtime_ns
            known = self._files.get(name)
            if known is not None and known[0] == changed:
                return known[1]
            value = Path(name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialRefused(f"the key file {name} cannot be read: {type(error).__name__}") from error
        if not value:
            raise CredentialRefused(f"the key file {name} is empty")
        self._files[name] = (changed, value)
        return value
