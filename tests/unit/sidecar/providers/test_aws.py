"""Credentials of AWS: what is refused, in words that name the remedy; `test_identities.py` shows what is sent."""

import sys

import pytest

from schemas.bundle import AwsIdentity
from sidecar.errors import CredentialRefused
from sidecar.providers.aws import AwsChain


def test_a_missing_library_is_refused_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(CredentialRefused, match=r"install pointsman\[aws\]"):
        AwsChain(AwsIdentity(region="us-east-1")).fetch(0.0)
