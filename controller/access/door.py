"""Who a request comes from, by its bearer token or its client certificate, and what they may see."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from controller.access.document import Access, Cluster, Jwks, load_access
from controller.access.keys import KeySet
from controller.access.reread import Reread
from controller.access.service_accounts import TokenRefused, account_of, issuer_of
from controller.errors import ApiError
from controller.tokens import Tokens, bearer_in
from schemas.scope import WHOLE, Scope, scope_of

NOBODY_NAMED: Final = Access()


@dataclass(frozen=True, slots=True)
class Asker:
    name: str
    """For the log."""
    scope: Scope


class Door:
    def __init__(self, tokens: Tokens, access: Path | None = None, *, is_open_to_readers: bool = False) -> None:
        """Raises `CannotStart`: the file is not as it must be.

        Args:
            is_open_to_readers: whoever reaches the address may read what `reader` guards.
        """
        self._tokens = tokens
        self._is_open_to_readers = is_open_to_readers
        self._file = None if access is None else Reread(access, load_access)
        self._keys: dict[Jwks, KeySet] = {}

    async def sidecar(self, authorization: str | None, certificate: Mapping[str, Any] | None) -> Asker:
        """A sidecar, and all that it may see. A token that is sent decides; a certificate, where none is.

        Args:
            certificate: as `ssl.SSLSocket.getpeercert` gives one that was verified.

        Raises:
            ApiError: 401, nobody known; 403, known, and named nowhere in the file of `--access`.
        """
        access = NOBODY_NAMED if self._file is None else self._file.value()
        token = bearer_in(authorization)
        if token:
            return await self._by_token(token, access)
        if certificate:
            return _by_certificate(certificate, access)
        raise _unauthenticated("send the controller's sidecar.token, or a token of its own, as Authorization: Bearer")

    async def reader(self, authorization: str | None, certificate: Mapping[str, Any] | None) -> None:
        """Lets in who may read sums, the fleet and the rules' problems: they tell of every team.

        Raises:
            ApiError: 401 or 403, as `sidecar` says; 403 also for who sees some use cases alone.
        """
        if self._is_open_to_readers or self.is_admin(authorization):
            return
        if not bearer_in(authorization) and not certificate:
            raise _unauthenticated(
                "reading takes the controller's admin.token or sidecar.token, or a token that --access gives every use "
                "case, as Authorization: Bearer"
            )
        asker = await self.sidecar(authorization, certificate)
        if asker.scope != WHOLE:
            message = f'{asker.name} sees some use cases alone; reading takes one with `use_cases: ["*"]`'
            raise ApiError(403, "out_of_scope", message)

    def is_admin(self, authorization: str | None) -> bool:
        return self._tokens.is_admin(bearer_in(authorization))

    async def _by_token(self, token: str, access: Access) -> Asker:
        if self._tokens.is_sidecar(token):
            return Asker("sidecar.token", WHOLE)
        given = f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"
        # Every row is compared, so that the time it takes does not tell which of them is near.
        rows = [row for row in access.tokens if hmac.compare_digest(row.key, given)]
        if rows:
            return Asker(rows[0].name, scope_of(glob for row in rows for glob in row.use_cases))
        issuer = issuer_of(token) if access.kubernetes else None
        clusters = [cluster for cluster in access.kubernetes if issuer is not None and cluster.issuer == issuer]
        if not clusters:
            raise _unauthenticated("this token is not known here")
        return await self._by_account(token, clusters)

    async def _by_account(self, token: str, clusters: Sequence[Cluster]) -> Asker:
        """Several with one issuer differ in their audience: the last one's reason is told when none takes it."""
        refused = TokenRefused()
        for cluster in clusters:
            keys = self._keys.setdefault(cluster.jwks, KeySet(cluster.jwks))
            try:
                account = await account_of(token, cluster, keys)
            except TokenRefused as error:
                refused = error
                continue
            name = f"{account.namespace}/{account.name}"
            globs = [
                row.use_cases
                for row in cluster.service_accounts
                if fnmatchcase(account.namespace, row.namespace) and fnmatchcase(account.name, row.name)
            ]
            return _known(f"service account {name}", globs)
        raise _unauthenticated(f"this service account's token is refused: {refused}")


def _by_certificate(certificate: Mapping[str, Any], access: Access) -> Asker:
    names = names_in(certificate)
    globs = [row.use_cases for row in access.certificates if any(fnmatchcase(name, row.name) for name in names)]
    return _known(f"certificate {', '.join(names)}", globs)


def names_in(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """URI and DNS names of its subjectAltName; of a certificate without any, its common names (RFC 9525, 6.3)."""
    names = tuple(value for kind, value in certificate.get("subjectAltName", ()) if kind in ("URI", "DNS"))
    subject = [pair for pairs in certificate.get("subject", ()) for pair in pairs]
    return names or tuple(value for kind, value in subject if kind == "commonName")


def _known(name: str, globs: Iterable[Sequence[str]]) -> Asker:
    scope = scope_of(glob for row in globs for glob in row)
    if not scope:
        raise ApiError(403, "no_scope", f"{name} is given no use case in the file of --access")
    return Asker(name, scope)


def _unauthenticated(message: str) -> ApiError:
    return ApiError(401, "unauthenticated", message)
