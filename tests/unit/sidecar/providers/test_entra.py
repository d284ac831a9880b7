"""Tokens of Entra ID: what is refused, in words that name the remedy; `test_identities.py` shows what is sent."""

import sys

import pytest

from schemas.bundle import EntraIdentity
from sidecar.errors import CredentialRefused
from sidecar.providers.entra import fetch_entra_token


def test_a_missing_library_is_refused_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(CredentialRefused, match=r"install pointsman\[azure\]"):
        fetch_entra_token(EntraIdentity(), 0.0)
