"""Kubernetes' projected ServiceAccount tokens: JWTs (RFC 7519) that the cluster signs, verified without asking it.

Their claims: kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin, "Bound service account tokens".
"""

from dataclasses import dataclass
from typing import Any, Final

import jwt

from controller.access.document import Cluster
from controller.access.keys import KeySet, UnknownKey

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
"""What a cluster signs with: public keys alone, so that no token can be made of what the key set tells everybody."""
REQUIRED: Final = ("iss", "aud", "exp", "nbf", "sub")
LEEWAY_SECONDS: Final = 10
"""Clocks of two machines."""


class TokenRefused(Exception):
    """The message says why; it holds nothing of the token."""


@dataclass(frozen=True, slots=True)
class Account:
    namespace: str
    name: str


def issuer_of(token: str) -> str | None:
    """Who says to have signed it, unverified: to choose whose keys it is verified with. None: it is no JWT."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return None
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) else ""


async def account_of(token: str, cluster: Cluster, keys: KeySet) -> Account:
    """Whose token this is. Raises `TokenRefused`."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        if not kid:
            raise TokenRefused("the token names no key")
        key = await keys.key(kid)
        claims = jwt.decode(
            token, key, algorithms=ALGORITHMS, audience=cluster.audience, issuer=cluster.issuer,
            leeway=LEEWAY_SECONDS, options={"require": list(REQUIRED)},
        )  # fmt: skip
    except UnknownKey:
        raise TokenRefused("no key of this cluster is known by the token's key id") from None
    except jwt.PyJWTError as error:
        raise TokenRefused(f"{type(error).__name__}: {error}") from error
    return _account_in(claims)


def _account_in(claims: dict[str, Any]) -> Account:
    bound = claims.get("kubernetes.io")
    account = bound.get("serviceaccount") if isinstance(bound, dict) else None
    if not isinstance(bound, dict) or not isinstance(account, dict):
        raise TokenRefused("the token is bound to no service account")
    namespace, name = bound.get("namespace"), account.get("name")
    if not namespace or not name or claims["sub"] != f"system:serviceaccount:{namespace}:{name}":
        raise TokenRefused("the token's subject is not the service account that it is bound to")
    return Account(namespace, name)
