"""The API by TLS: certificates made here, shown over real connections, renewed while it runs."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.access.tls import renew_certificate, server_context
from controller.app import Running, running
from controller.errors import CannotStart
from controller.settings import ServeSettings
from schemas.bundle import SignedPointer, decode_bundle
from sidecar.uplink import Uplink, UplinkFailed
from sidecar.uplink_tls import TlsFiles
from tests.fakes.certificates import Authority
from tests.fakes.rules_repo import RULES, USE_CASE, RulesRepo

ACCESS = """
certificates:
  - {name: "spiffe://example.org/ns/support/*", use_cases: [support]}
  - {name: coder, use_cases: [coding]}
"""
DEADLINE_SECONDS = 10.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
async def controller(tmp_path: Path, repo: RulesRepo, authority: Authority) -> AsyncIterator[Running]:
    access = tmp_path / "access.yaml"
    access.write_text(ACCESS)
    settings = ServeSettings(
        repo=str(repo.path), state=tmp_path / "state", listen_port=0, access=access,
        tls_cert=authority.server("controller.pem"), client_ca=authority.file,
    )  # fmt: skip
    async with running(settings) as controller:
        repo.commit({**RULES, "use-cases/coding/use-case.yaml": USE_CASE.replace("support", "coding")})
        await controller.parts.publisher.newer_than("")
        yield controller


async def poll(controller: Running, tls: TlsFiles, token: Path | None = None) -> SignedPointer:
    uplink = Uplink(controller.url, "s1", token, tls=tls)
    try:
        polled = await uplink.poll()
    finally:
        await uplink.close()
    assert polled is not None
    return polled


def use_cases_of(signed: SignedPointer) -> list[str]:
    assert signed.bundle is not None
    return sorted(decode_bundle(signed.bundle.encode()).use_cases)


@pytest.mark.parametrize(
    ("common_name", "uri", "names"),
    [("any", "spiffe://example.org/ns/support/sa/bot", ["support"]), ("coder", "", ["coding"])],
)
async def test_a_certificate_sees_what_its_name_is_given(
    controller: Running, authority: Authority, common_name: str, uri: str, names: list[str]
) -> None:
    shown = TlsFiles(authority.file, authority.client("client.pem", common_name, uri))
    assert use_cases_of(await poll(controller, shown)) == names


@pytest.mark.parametrize(
    ("common_name", "uri"), [("nobody", ""), ("coder", "spiffe://example.org/ns/legal/sa/bot"), ("coder", "urn:other")]
)
async def test_a_certificate_of_another_name_sees_nothing(
    controller: Running, authority: Authority, common_name: str, uri: str
) -> None:
    """A common name counts for nothing beside other names."""
    with pytest.raises(UplinkFailed, match="no_scope"):
        await poll(controller, TlsFiles(authority.file, authority.client("client.pem", common_name, uri)))


async def test_a_certificate_of_another_authority_is_refused(
    controller: Running, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    with pytest.raises(UplinkFailed):
        await poll(controller, TlsFiles(authority.file, other.client("client.pem", "coder")))


async def test_a_controller_of_another_authority_is_not_believed(
    controller: Running, tmp_path: Path, authority: Authority
) -> None:
    other = Authority(tmp_path, "other")
    with pytest.raises(UplinkFailed, match=r"(?i)certificate"):
        await poll(controller, TlsFiles(other.file, authority.client("client.pem", "coder")))


async def test_a_token_does_without_a_certificate_and_nobody_does_without_both(
    controller: Running, authority: Authority, tmp_path: Path
) -> None:
    token = tmp_path / "state" / "sidecar.token"
    assert use_cases_of(await poll(controller, TlsFiles(authority.file), token)) == ["coding", "support"]
    with pytest.raises(UplinkFailed, match="401"):
        await poll(controller, TlsFiles(authority.file))


async def test_a_sidecar_shows_its_renewed_certificate(controller: Running, authority: Authority) -> None:
    path = authority.client("client.pem", "nobody")
    uplink = Uplink(controller.url, "s1", None, tls=TlsFiles(authority.file, path))
    try:
        with pytest.raises(UplinkFailed, match="no_scope"):
            await uplink.poll()
        authority.client("client.pem", "coder")
        polled = await uplink.poll()
        assert polled is not None
        assert use_cases_of(polled) == ["coding"]
    finally:
        await uplink.close()


async def test_a_renewed_certificate_is_served_without_a_restart(authority: Authority) -> None:
    path = authority.server("controller.pem")
    context = server_context(path, None, None)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async def served() -> bytes | None:
        trust = ssl.create_default_context(cafile=authority.file)
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        found: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return found

    renewing = asyncio.create_task(renew_certificate(context, path, None, look_seconds=0.02))
    try:
        before = await served()
        await asyncio.to_thread(path.write_bytes, b"half")
        assert await served() == before
        await asyncio.to_thread(authority.server, "controller.pem")
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await served() == before:
                continue
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
        server.close()


def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path, authority: Authority) -> None:
    odd = tmp_path / "odd.pem"
    odd.write_text("odd")
    for files in [(odd, None, None), (tmp_path / "none", None, None), (authority.server("c.pem"), None, odd)]:
        with pytest.raises(CannotStart, match=r"certificate, key or authority in .* cannot be used"):
            server_context(*files)
