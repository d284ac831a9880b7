"""Proofs by a cloud's own identity instead of a key: what to add to a request so that its provider believes it."""

from collections.abc import Mapping
from functools import partial
from typing import TypeVar

from schemas.bundle import AwsIdentity, EntraIdentity, GoogleIdentity, Identity
from sidecar.ports import Clock
from sidecar.providers.aws import AwsChain
from sidecar.providers.entra import fetch_entra_token
from sidecar.providers.google import fetch_google_token
from sidecar.providers.refreshed import Refreshed
from sidecar.providers.sigv4 import AwsKeys, Scope, signature_headers

Who = TypeVar("Who")
Value = TypeVar("Value")

BEDROCK = "bedrock"
"""The name that Bedrock's requests are signed for, whatever the host (botocore, `bedrock-runtime`: `signingName`)."""

LEAST_AGE_SECONDS = 60.0
"""A refusal is no reason to ask anew for a credential that is younger: then it is the account that lacks the right."""


class Identities:
    """Keyed by what the rules say, so that tokens outlive reloads and providers of one identity share them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens: dict[EntraIdentity | GoogleIdentity, Refreshed[str]] = {}
        self._aws: dict[AwsIdentity, Refreshed[AwsKeys]] = {}

    async def proof(
        self, identity: Identity, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> dict[str, str]:
        """The headers to add to this request. Raises CredentialRefused."""
        if isinstance(identity, AwsIdentity):
            keys = await self._aws_source(identity).get()
            # Others may be changed on the way, by a proxy; these are what AWS asks for.
            signed = {name: text for name, text in headers.items() if name == "content-type" or name[:6] == "x-amz-"}
            scope = Scope(identity.region, BEDROCK)
            return signature_headers(keys, scope, method, url, signed, body, self._clock.now())
        return {"authorization": f"Bearer {await self._token_source(identity).get()}"}

    def note_refusal(self, identity: Identity) -> None:
        """The provider took the proof for a bad one: the next call asks anew."""
        now = self._clock.now()
        if isinstance(identity, AwsIdentity):
            _drop_unless_young(self._aws, identity, now)
        else:
            _drop_unless_young(self._tokens, identity, now)

    def _aws_source(self, identity: AwsIdentity) -> Refreshed[AwsKeys]:
        if identity not in self._aws:
            self._aws[identity] = Refreshed(AwsChain(identity).fetch, self._clock)
        return self._aws[identity]

    def _token_source(self, identity: EntraIdentity | GoogleIdentity) -> Refreshed[str]:
        if identity not in self._tokens:
            fetch = (
                partial(fetch_entra_token, identity)
                if isinstance(identity, EntraIdentity)
                else partial(fetch_google_token, identity)
            )
            self._tokens[identity] = Refreshed(fetch, self._clock)
        return self._tokens[identity]


def _drop_unless_young(sources: dict[Who, Refreshed[Value]], identity: Who, now: float) -> None:
    source = sources.get(identity)
    if source is not None and now - source.began >= LEAST_AGE_SECONDS:
        del sources[identity]
