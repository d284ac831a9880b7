"""Tokens of Google Cloud: what is refused, in words that name the remedy; `test_identities.py` shows what is sent."""

import sys

import pytest

from schemas.bundle import GoogleIdentity
from sidecar.errors import CredentialRefused
from sidecar.providers.google import fetch_google_token


def test_a_missing_library_is_refused_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(CredentialRefused, match=r"install pointsman\[google\]"):
        fetch_google_token(GoogleIdentity(), 0.0)
