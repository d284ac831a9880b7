"""The file of `--access`, which the platform team owns: whose token, service account or certificate sees what."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from controller.errors import CannotStart
from schemas.rules.base import Glob, Name, Rules, Text
from schemas.rules.platform import HashedKey
from schemas.yaml_source import parse_yaml

UseCases = Annotated[tuple[Glob, ...], Field(min_length=1)]


class ScopedToken(Rules):
    """A bearer token. While one is rotated, the old and the new one stand here under one name."""

    name: Name
    key: HashedKey
    """`sha256:` and the hash of the token's text."""
    use_cases: UseCases
    """Globs; `"*"` is everything."""


class Jwks(Rules):
    """Where the keys are found that a cluster signs its tokens with."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
    """In a cluster: https://kubernetes.default.svc/openid/v1/jwks."""
    ca: str | None = None
    """File: who vouches for that server; None: the system's authorities."""
    token: str | None = None
    """File: shown to that server as a bearer token."""


class ServiceAccount(Rules):
    namespace: Glob
    name: Glob = "*"
    use_cases: UseCases


class Cluster(Rules):
    """A Kubernetes cluster whose projected ServiceAccount tokens are taken."""

    issuer: Text
    """As its tokens name it in `iss`."""
    audience: Text
    """What the projected volume asks for; a token for anybody else is refused."""
    jwks: Jwks
    service_accounts: tuple[ServiceAccount, ...]


class Certificate(Rules):
    """A client's certificate, by a name in it."""

    name: Glob
    """A URI or DNS name of its subjectAltName; of one without any, its common name."""
    use_cases: UseCases


class Access(Rules):
    tokens: tuple[ScopedToken, ...] = ()
    kubernetes: tuple[Cluster, ...] = ()
    certificates: tuple[Certificate, ...] = ()


def load_access(path: Path) -> Access:
    """Raises `CannotStart` with everything that is wrong, each with its place."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"--access: cannot read {path}: {type(error).__name__}") from error
    document, problems = parse_yaml(path.name, text)
    if document is None or problems:
        raise CannotStart("--access: " + "; ".join(map(str, problems)))
    try:
        return Access.model_validate(document.data)
    except ValidationError as error:
        found = []
        for wrong in error.errors(include_url=False, include_input=False):
            line, column = document.place_of(tuple(wrong["loc"]))
            where = ".".join(map(str, wrong["loc"])) or "the file"
            found.append(f"{path.name}:{line}:{column} {where}: {wrong['msg']}")
        raise CannotStart("--access: " + "; ".join(found)) from error
