"""References to secrets: read when needed, named when missing, never shown."""

import os
from pathlib import Path

import pytest

from schemas.bundle import Secret
from sidecar.errors import CredentialRefused
from sidecar.providers.credentials import Credentials


def test_a_variable_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = Credentials()
    for key in ("one", " two\n"):
        monkeypatch.setenv("SOME_KEY", key)
        assert credentials.read(Secret(env="SOME_KEY")) == key.strip()


def test_a_file_that_is_rotated_is_read_again(tmp_path: Path) -> None:
    path, credentials = tmp_path / "key", Credentials()
    path.write_text("one\n")
    assert credentials.read(Secret(file=str(path))) == "one"
    new = tmp_path / "new"
    new.write_text("two\n")
    os.utime(new, ns=(1, 1))
    os.replace(new, path)
    assert credentials.read(Secret(file=str(path))) == "two"


@pytest.mark.parametrize("content", [None, b"", b"  \n", b"\xff\xfe"])
def test_what_cannot_be_read_is_named_and_not_shown(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CredentialRefused, match=r"the key file .*key"):
        Credentials().read(Secret(file=str(path)))


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(CredentialRefused, match="SOME_KEY"):
        Credentials().read(Secret(env="SOME_KEY"))
