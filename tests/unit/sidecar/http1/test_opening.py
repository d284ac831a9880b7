"""From an origin to an open connection: whose certificate is believed, and how names are looked up."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from sidecar.http1.errors import NotReached
from sidecar.http1.opening import Opener
from sidecar.http1.place import Origin
from tests.fakes.certificates import Authority
from tests.fakes.loops import on_both_loops
from tests.fakes.ports import HandClock
from tests.fakes.upstream import refusing_port


class Names(AbstractResolver):
    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        await self.gate.wait()
        if not self.addresses:
            raise OSError(socket.EAI_NONAME, "Name or service not known")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.addresses
        ]

    async def close(self) -> None: ...


@asynccontextmanager
async def listening(certificate: Path | None = None, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(hear, host, port, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Link(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]


async def reach(opener: Opener, host: str, port: int, *, is_tls: bool = False, seconds: float = 5.0) -> str:
    """The address that was reached."""
    link = await opener.open(Origin(host, port, is_tls), Link, seconds)
    assert isinstance(link, Link)
    address: str = link.transport.get_extra_info("peername")[0]
    link.transport.abort()
    await asyncio.sleep(0)
    return address


def opener(*addresses: str, clock: HandClock | None = None) -> tuple[Opener, Names]:
    names = Names(*addresses)
    return Opener(clock or HandClock(), names_seconds=30, resolver=names), names


@on_both_loops
async def test_an_authority_that_the_environment_names_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path, "ca")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    made, _ = opener("127.0.0.1")
    async with listening(authority.server("server.pem")) as port:
        assert await reach(made, "localhost", port, is_tls=True) == "127.0.0.1"
        assert await reach(made, "127.0.0.1", port, is_tls=True) == "127.0.0.1"
    await made.close()


@on_both_loops
async def test_nobody_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, other = Authority(tmp_path, "ca"), Authority(tmp_path, "other")
    made, _ = opener("127.0.0.1")
    async with listening(authority.server("server.pem")) as port:
        with pytest.raises(NotReached, match="CERTIFICATE_VERIFY_FAILED"):
            await reach(made, "localhost", port, is_tls=True)
    await made.close()
    monkeypatch.setenv("SSL_CERT_FILE", str(other.file))
    made, _ = opener("127.0.0.1")
    async with listening(authority.server("server.pem")) as port:
        with pytest.raises(NotReached, match="CERTIFICATE_VERIFY_FAILED"):
            await reach(made, "localhost", port, is_tls=True)
    await made.close()


@on_both_loops
async def test_nor_is_a_certificate_for_another_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path, "ca")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    made, _ = opener("127.0.0.1")
    async with listening(authority.server("server.pem")) as port:
        with pytest.raises(NotReached, match="CERTIFICATE_VERIFY_FAILED"):
            await reach(made, "api.example", port, is_tls=True)
    await made.close()


@on_both_loops
async def test_tls_to_a_port_that_speaks_none_is_not_reached_in_time() -> None:
    made, _ = opener("127.0.0.1")
    async with listening() as port:
        with pytest.raises(NotReached, match=r"no connection within 0\.1 s"):
            await reach(made, "localhost", port, is_tls=True, seconds=0.1)
    await made.close()


@on_both_loops
async def test_the_next_address_is_tried_where_one_refuses() -> None:
    made, _ = opener("127.0.0.3", "127.0.0.2")
    async with listening(host="127.0.0.2") as port:
        assert await reach(made, "api.example", port) == "127.0.0.2"
    await made.close()


@on_both_loops
async def test_each_connection_begins_with_another_address_of_a_name() -> None:
    made, names = opener("127.0.0.1", "127.0.0.2")
    async with listening() as port, listening(host="127.0.0.2", port=port):
        reached = [await reach(made, "api.example", port) for _ in range(4)]
    assert reached == ["127.0.0.1", "127.0.0.2"] * 2
    assert names.asked == 1
    await made.close()


@on_both_loops
async def test_a_name_is_looked_up_again_after_a_while() -> None:
    clock = HandClock()
    made, names = opener("127.0.0.1", clock=clock)
    async with listening() as port:
        for seconds, asked in ((0, 1), (29, 1), (2, 2)):
            await clock.turn(seconds)
            await reach(made, "api.example", port)
            assert names.asked == asked
    await made.close()


@on_both_loops
async def test_a_name_that_is_gone_is_asked_for_again_by_the_next_one() -> None:
    made, names = opener()
    for asked in (1, 2):
        with pytest.raises(NotReached, match="Name or service not known"):
            await reach(made, "api.example", 80)
        assert names.asked == asked
    await made.close()


@on_both_loops
async def test_those_who_ask_together_share_a_look_up_and_who_leaves_does_not_end_it() -> None:
    made, names = opener("127.0.0.1")
    names.gate.clear()
    async with listening() as port:
        leaves = asyncio.create_task(reach(made, "api.example", port))
        stays = asyncio.create_task(reach(made, "api.example", port))
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.sleep(0)
        names.gate.set()
        assert await stays == "127.0.0.1"
    assert names.asked == 1
    await made.close()


@on_both_loops
async def test_an_address_is_looked_up_by_nobody() -> None:
    made, names = opener()
    async with listening() as port:
        assert await reach(made, "127.0.0.1", port) == "127.0.0.1"
    with refusing_port() as port, pytest.raises(NotReached, match="Connection refused"):
        await reach(made, "127.0.0.1", port)
    assert names.asked == 0
    await made.close()
