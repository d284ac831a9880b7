"""Service accounts' tokens as Kubernetes makes them, against a real server of keys; and names in certificates."""

import base64
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from controller.access.document import Jwks, load_access
from controller.access.door import Door, names_in
from controller.access.keys import KEPT_SECONDS, RETRY_SECONDS, KeySet, UnknownKey
from controller.errors import ApiError, CannotStart
from controller.tokens import load_tokens
from schemas.scope import WHOLE

ISSUER, AUDIENCE = "https://kubernetes.default.svc.cluster.local", "pointsman"
ACCESS = """
kubernetes:
  - issuer: {issuer}
    audience: {audience}
    jwks: {{url: "{url}", token: "{token}"}}
    service_accounts:
      - {{namespace: support, name: bot, use_cases: [support]}}
      - {{namespace: support, use_cases: ["shared-*"]}}
      - {{namespace: platform, use_cases: ["*"]}}
"""


@dataclass
class Cluster:
    """What a cluster does for tokens: signs them, and serves its public keys to who shows the right token."""

    keys: dict[str, Any] = field(default_factory=dict)
    asked: int = 0
    is_up: bool = True

    def add_key(self, kid: str, algorithm: str = "RS256") -> None:
        self.keys[kid] = (
            rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1()),
            algorithm,
        )

    def token(self, kid: str = "one", namespace: str = "support", name: str = "bot", **changes: Any) -> str:
        """The claims of a projected token: bound to a pod, for an hour."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "aud": [AUDIENCE],
            "exp": now + 3607,
            "iat": now,
            "iss": ISSUER,
            "jti": "ea28ed49-2e11-4280-9ec5-bc3d1d84661a",
            "kubernetes.io": {
                "namespace": namespace,
                "node": {"name": "node-1", "uid": "58456cb0-dd00-45ed-b797-5578fdceaced"},
                "pod": {"name": f"{name}-69cbfb9798-jv9gn", "uid": "778a530c-b3f4-47c0-9cd5-ab018fb64f33"},
                "serviceaccount": {"name": name, "uid": "a087d5a0-e1dd-43ec-93ac-f13d89cd13af"},
                "warnafter": now + 3607,
            },
            "nbf": now,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        claims = {key: value for key, value in (claims | changes).items() if value is not None}
        key, algorithm = self.keys[kid]
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})

    async def serve_keys(self, request: web.Request) -> web.Response:
        self.asked += 1
        if not self.is_up or request.headers.get("Authorization") != "Bearer of-the-controller":
            return web.Response(status=401)
        makers = {"RS256": jwt.algorithms.RSAAlgorithm, "ES256": jwt.algorithms.ECAlgorithm}
        return web.json_response({
            "keys": [
                {**makers[algorithm].to_jwk(key.public_key(), as_dict=True), "use": "sig", "kid": kid, "alg": algorithm}
                for kid, (key, algorithm) in self.keys.items()
            ]
        })  # fmt: skip


@dataclass
class World:
    cluster: Cluster
    url: str
    folder: Path

    @property
    def source(self) -> Jwks:
        return Jwks(url=self.url, token=str(self.folder / "own"))

    async def ask(self, token: str) -> tuple[str, ...]:
        return (await self.door.sidecar(f"Bearer {token}", None)).scope

    async def refused(self, token: str) -> ApiError:
        with pytest.raises(ApiError) as refused:
            await self.ask(token)
        assert token not in refused.value.message
        return refused.value

    def __post_init__(self) -> None:
        path = self.folder / "access.yaml"
        (self.folder / "own").write_text("of-the-controller\n")
        own = self.folder / "own"
        path.write_text(ACCESS.format(issuer=ISSUER, audience=AUDIENCE, url=self.url, token=own))
        self.door = Door(load_tokens(self.folder, make=True), path)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    cluster = Cluster()
    cluster.add_key("one")
    app = web.Application()
    app.router.add_get("/openid/v1/jwks", cluster.serve_keys)
    async with TestServer(app) as server:
        yield World(cluster, str(server.make_url("/openid/v1/jwks")), tmp_path)


@pytest.mark.parametrize(
    ("namespace", "name", "scope"),
    [("support", "bot", ("shared-*", "support")), ("support", "other", ("shared-*",)), ("platform", "any", WHOLE)],
)
async def test_an_account_sees_what_every_row_that_fits_gives_it(
    world: World, namespace: str, name: str, scope: tuple[str, ...]
) -> None:
    assert await world.ask(world.cluster.token(namespace=namespace, name=name)) == scope


async def test_an_account_that_no_row_names_is_known_and_sees_nothing(world: World) -> None:
    error = await world.refused(world.cluster.token(namespace="default"))
    assert (error.status, error.code) == (403, "no_scope")
    assert "default/bot" in error.message


PAST = 1_700_000_000
OTHER = {"namespace": "platform", "serviceaccount": {"name": "bot"}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"aud": ["https://kubernetes.default.svc"]}, "InvalidAudienceError"),
        ({"aud": None}, "aud"),
        ({"exp": PAST}, "ExpiredSignatureError"),
        ({"exp": None}, "exp"),
        ({"nbf": int(time.time()) + 3600}, "ImmatureSignatureError"),
        ({"nbf": None}, "nbf"),
        ({"iss": "https://elsewhere.example.com"}, "not known here"),
        ({"iss": None}, "not known here"),
        ({"sub": None}, "sub"),
        ({"kubernetes.io": OTHER}, "subject"),
        ({"kubernetes.io": None}, "bound to no service account"),
        ({"kubernetes.io": "support"}, "bound to no service account"),
    ],
)
async def test_a_token_that_is_not_for_us_is_refused_with_the_reason(
    world: World, changes: dict[str, Any], words: str
) -> None:
    error = await world.refused(world.cluster.token(**changes))
    assert (error.status, error.code) == (401, "unauthenticated")
    assert words in error.message


async def test_a_token_of_an_elliptic_key_counts(world: World) -> None:
    world.cluster.add_key("curve", "ES256")
    assert await world.ask(world.cluster.token("curve", namespace="platform")) == WHOLE


def unsigned(token: str) -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT","kid":"one"}').rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


def tampered(token: str) -> str:
    head, claims, signature = token.split(".")
    padded = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)).replace(b"support", b"platform")
    return f"{head}.{base64.urlsafe_b64encode(padded).rstrip(b'=').decode()}.{signature}"


@pytest.mark.parametrize("forge", [unsigned, tampered, lambda token: token[:-8], lambda token: token + ".x"])
async def test_a_forged_token_is_refused(world: World, forge: Callable[[str], str]) -> None:
    assert (await world.refused(forge(world.cluster.token()))).status == 401


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(world: World) -> None:
    await world.ask(world.cluster.token())
    claims = jwt.decode(world.cluster.token(), options={"verify_signature": False})
    secret = hashlib.sha256(b"whatever the key set tells everybody").hexdigest()
    forged = jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "one"})
    assert (await world.refused(forged)).status == 401


async def test_keys_are_kept_and_fetched_anew_for_one_not_seen_yet_within_a_bound(world: World) -> None:
    clock = [0.0]
    keys = KeySet(world.source, now=lambda: clock[0])
    for _ in range(5):
        await keys.key("one")
    assert world.cluster.asked == 1

    world.cluster.add_key("two")
    for _ in range(5):
        with pytest.raises(UnknownKey):
            await keys.key("two")
    assert world.cluster.asked == 1
    clock[0] += RETRY_SECONDS
    await keys.key("two")
    assert world.cluster.asked == 2

    del world.cluster.keys["one"]
    clock[0] += KEPT_SECONDS
    await keys.key("two")
    with pytest.raises(UnknownKey):
        await keys.key("one")
    assert world.cluster.asked == 3


async def test_while_the_keys_cannot_be_fetched_those_that_are_known_count(world: World) -> None:
    clock = [0.0]
    keys = KeySet(world.source, now=lambda: clock[0])
    await keys.key("one")
    world.cluster.is_up = False
    clock[0] += KEPT_SECONDS
    await keys.key("one")
    assert world.cluster.asked == 2
    with pytest.raises(UnknownKey):
        await KeySet(world.source).key("one")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tokens: [{name: a, key: 'sha256:12', use_cases: [x]}]", "access.yaml:1:"),
        ("tokens:\n  - {name: a, use_case: [x]}", "access.yaml:2:"),
        ("certificates: [{name: a, use_cases: []}]", "use_cases"),
        ("kubernetes: [", "access.yaml"),
        ("nobody: []", "nobody"),
        ("[]", "the file"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(text)
    with pytest.raises(CannotStart, match="--access") as refused:
        load_access(path)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("certificate", "names"),
    [
        ({"subject": ((("commonName", "a"),),), "subjectAltName": (("DNS", "b"), ("URI", "c"))}, ("b", "c")),
        ({"subject": ((("organizationName", "o"),), (("commonName", "a"),))}, ("a",)),
        ({"subject": (), "subjectAltName": (("IP Address", "10.0.0.1"),)}, ()),
    ],
)
def test_the_names_of_a_certificate(certificate: dict[str, Any], names: tuple[str, ...]) -> None:
    assert names_in(certificate) == names
