"""Credentials of AWS, by its own library's chain (extra `aws`): environment, profile, web identity, roles."""

from typing import Any

from schemas.bundle import AwsIdentity
from sidecar.errors import CredentialRefused
from sidecar.providers.refreshed import Fetched
from sidecar.providers.sigv4 import AwsKeys

ASK_AGAIN_SECONDS, GOOD_FOR_SECONDS = 60.0, 600.0
"""The library renews temporary credentials by itself; what it hands out is good for ten minutes more at the least
(botocore, `RefreshableCredentials._mandatory_refresh_timeout`)."""


class AwsChain:
    """Finds credentials once, and then lets the library renew them."""

    def __init__(self, identity: AwsIdentity) -> None:
        self._identity = identity
        self._credentials: Any = None

    def fetch(self, now: float) -> Fetched[AwsKeys]:
        """Blocks.

        Raises:
            CredentialRefused: the library is not installed, or its chain ends without credentials.
        """
        try:
            from botocore.exceptions import BotoCoreError
            from botocore.session import Session
        except ImportError as error:
            raise CredentialRefused("AWS needs botocore: install pointsman[aws]") from error
        try:
            if self._credentials is None:
                self._credentials = Session(profile=self._identity.profile).get_credentials()
            if self._credentials is None:
                raise CredentialRefused("AWS's chain of credentials found none in the sidecar's environment")
            frozen = self._credentials.get_frozen_credentials()
        except (BotoCoreError, ValueError, OSError) as error:
            raise CredentialRefused(f"AWS gave no credentials: {type(error).__name__}") from error
        keys = AwsKeys(frozen.access_key, frozen.secret_key, frozen.token)
        return Fetched(keys, now + ASK_AGAIN_SECONDS, now + GOOD_FOR_SECONDS)
