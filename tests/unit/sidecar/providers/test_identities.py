"""Cloud identities by the clouds' own libraries, against token servers on loopback: what the provider then sees."""

import base64
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from schemas.bundle import AwsIdentity, EntraIdentity, GoogleIdentity, Identity
from sidecar.clock import SYSTEM_CLOCK
from sidecar.errors import CredentialRefused
from sidecar.providers.credentials import Credentials
from sidecar.providers.http import HttpUpstream
from sidecar.providers.own_client import OwnClient
from sidecar.routing.snapshot import Target
from tests.fakes import core_bundles as bundles
from tests.fakes.accounts import service_account
from tests.fakes.ports import HandClock
from tests.fakes.provider import Answer, Received, providing

AWS = AwsIdentity(region="eu-central-1")


@pytest.fixture(autouse=True)
def _no_cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's own accounts, and no metadata service is asked."""
    for name in (
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "GOOGLE_CLOUD_PROJECT",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "no-google.json"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def upstream() -> AsyncIterator[HttpUpstream]:
    made = HttpUpstream(Credentials(), OwnClient(), clock=HandClock(now=SYSTEM_CLOCK.now()))
    yield made
    await made.close()


def target(url: str, identity: Identity) -> Target:
    snapshot = bundles.snapshot(
        providers={"one": bundles.provider(url, identity=identity)}, models={"a": bundles.model("one")}, chain=["a"]
    )
    found: Target = snapshot.targets["a"][0]
    return found


async def call(upstream: HttpUpstream, url: str, identity: Identity, path: str = "/x") -> int:
    answer = await upstream.send(target(url, identity), path, {"x-team": "a"}, b'{"a": 1}', 1.0)
    answer.close()
    return answer.status


def as_json(**body: Any) -> Answer:
    return Answer(headers={"content-type": "application/json"}, body=json.dumps(body).encode())


@pytest.mark.parametrize("named_in_rules", [True, False])
async def test_a_google_service_account_gets_a_token_for_the_cloud_and_shows_it(
    upstream: HttpUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named_in_rules: bool
) -> None:
    async with (
        providing(lambda _: as_json(access_token="token-g", expires_in=3600, token_type="Bearer")) as tokens,
        providing() as provider,
    ):
        file = service_account(tmp_path, f"{tokens.url}/token")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
        identity = GoogleIdentity(file=file if named_in_rules else None)
        assert [await call(upstream, provider.url, identity) for _ in range(2)] == [200, 200]
        assert provider.values("authorization") == ["Bearer token-g"] * 2
        (asked,) = tokens.received
        claims = parse_qs(asked.body.decode())["assertion"][0].split(".")[1]
        scope = json.loads(base64.urlsafe_b64decode(claims + "=="))["scope"]
        assert scope == "https://www.googleapis.com/auth/cloud-platform"


async def test_an_azure_managed_identity_gets_a_token_for_ai_services_and_shows_it(
    upstream: HttpUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    expires_on = int(SYSTEM_CLOCK.now()) + 3600
    async with (
        providing(lambda _: as_json(access_token="token-e", expires_on=str(expires_on), token_type="Bearer")) as tokens,
        providing() as provider,
    ):
        # How App Service and Container Apps offer their identity (azure-identity, `AppServiceCredential`).
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{tokens.url}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header-secret")
        assert [await call(upstream, provider.url, EntraIdentity()) for _ in range(2)] == [200, 200]
        assert provider.values("authorization") == ["Bearer token-e"] * 2
        (asked,) = tokens.received
        assert unquote(asked.path).endswith("resource=https://cognitiveservices.azure.com")


def container_keys(_: Received) -> Answer:
    """What a container's endpoint says, as on ECS and EKS (botocore, `ContainerProvider`)."""
    expiration = datetime.fromtimestamp(SYSTEM_CLOCK.now() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return as_json(AccessKeyId="AKIDROLE", SecretAccessKey="secret", Token="session", Expiration=expiration)


@pytest.mark.parametrize(
    "path", ["/model/m-v1:0/converse", "/model/m-v1%3A0/converse", "/model/arn%3Aaws%3Aa%2Fb/converse", "/a/../b"]
)
async def test_what_aws_receives_carries_the_signature_that_botocore_makes_for_it(
    upstream: HttpUpstream, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async with providing(container_keys) as keys, providing() as provider:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{keys.url}/role")
        assert await call(upstream, provider.url, AWS, path) == 200
        (received,) = provider.received
        assert received.headers["x-amz-security-token"] == "session"
        signed = {"content-type": "application/json", "host": received.headers["host"]}
        request = AWSRequest("POST", provider.url + received.path, headers=signed, data=received.body)
        request.context["timestamp"] = received.headers["x-amz-date"]
        request.headers["X-Amz-Date"] = received.headers["x-amz-date"]
        request.headers["X-Amz-Security-Token"] = "session"
        signer = SigV4Auth(BotoCredentials("AKIDROLE", "secret", "session"), "bedrock", "eu-central-1")
        text = signer.string_to_sign(request, signer.canonical_request(request))
        assert received.headers["authorization"].endswith(f"Signature={signer.signature(text, request)}")
        assert "Credential=AKIDROLE/" in received.headers["authorization"]


async def test_a_proof_that_is_refused_is_made_anew_once_it_is_not_young(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = HandClock(now=SYSTEM_CLOCK.now())
    upstream = HttpUpstream(Credentials(), OwnClient(), clock=clock)
    async with providing(container_keys) as keys, providing(lambda _: Answer(403)) as provider:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{keys.url}/role")
        assert [await call(upstream, provider.url, AWS) for _ in range(3)] == [403, 403, 403]
        assert len(keys.received) == 1
        await clock.turn(61)
        assert [await call(upstream, provider.url, AWS) for _ in range(2)] == [403, 403]
        assert len(keys.received) == 2
    await upstream.close()


@pytest.mark.parametrize(
    ("identity", "module", "extra"),
    [
        (EntraIdentity(), "azure.identity", "azure"),
        (GoogleIdentity(), "google.auth", "google"),
        (AWS, "botocore.session", "aws"),
    ],
)
async def test_a_missing_library_is_refused_with_the_extra_to_install(
    upstream: HttpUpstream, monkeypatch: pytest.MonkeyPatch, identity: Identity, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CredentialRefused, match=rf"install pointsman\[{extra}\]"):
        await call(upstream, "http://127.0.0.1:9", identity)


async def test_a_file_that_is_no_service_account_is_named_and_not_shown(upstream: HttpUpstream, tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    path.write_text('{"private_key": "secret"}')
    with pytest.raises(CredentialRefused) as refused:
        await call(upstream, "http://127.0.0.1:9", GoogleIdentity(file=str(path)))
    assert str(path) in refused.value.message
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("identity", [GoogleIdentity(), AWS])
async def test_an_environment_without_credentials_is_refused_before_anything_is_sent(
    upstream: HttpUpstream, identity: Identity
) -> None:
    with pytest.raises(CredentialRefused):
        await call(upstream, "http://127.0.0.1:9", identity)
