"""What breaks in our own client is one of our errors, says which provider, and shows no URL and no key."""

import asyncio

import pytest

from sidecar.errors import ConnectionLost, StreamCut, Unreachable, UpstreamError
from sidecar.http1.place import place_of
from sidecar.providers import own_client
from sidecar.providers.client import DEFAULT_HEADERS
from sidecar.providers.own_client import OwnClient
from tests.fakes.upstream import Play, refusing_port, serving

PLAYS = {
    "closes": Play(status=None, then="close"),
    "resets": Play(status=None, then="reset"),
    "noise": Play(status=99999),
    "cut": Play(pieces=(b"one", b"two"), then="close"),
    "framing": Play(pieces=(b"onetwo",), bad_chunk=True, then="hang"),
    "whole": Play(pieces=(b"one", b"two")),
    "large": Play(pieces=(bytes(600), bytes(600))),
}


async def asked(client: OwnClient, port: int, part: str, headers: dict[str, str] | None = None) -> own_client.OwnAnswer:
    place = place_of(f"http://u:secret@127.0.0.1:{port}/{part}/x?key=secret")
    return await client.request("one", "POST", place, headers or {}, b"{}", 1.0)


@pytest.mark.parametrize("part", ["closes", "resets", "noise"])
async def test_no_answer_is_a_lost_connection(part: str) -> None:
    async with serving(PLAYS, b"") as server:
        client = OwnClient()
        with pytest.raises(ConnectionLost) as failed:
            await asked(client, server.port, part)
        said(failed.value)
        await client.close()


async def test_nobody_there_and_a_key_that_no_header_can_hold_are_unreachable() -> None:
    client = OwnClient()
    with refusing_port() as port:
        for headers, why in (({}, "Connection refused"), ({"authorization": "secret\n"}, "ValueError")):
            with pytest.raises(Unreachable, match=why) as failed:
                await asked(client, port, "x", headers)
            said(failed.value)
    await client.close()


async def take_all(answer: own_client.OwnAnswer, got: list[bytes]) -> None:
    while piece := await answer.chunk():
        got.append(piece)


def said(error: UpstreamError) -> None:
    assert error.message.startswith("one ")
    assert "secret" not in error.message


@pytest.mark.parametrize("part", ["cut", "framing"])
async def test_a_break_inside_is_another_error_where_it_was_a_stream(part: str) -> None:
    async with serving(PLAYS, b"") as server:
        client = OwnClient()
        answer = await asked(client, server.port, part)
        with pytest.raises(ConnectionLost, match="inside the answer"):
            await answer.read()
        answer.close()
        answer = await asked(client, server.port, part)
        got: list[bytes] = []
        with pytest.raises(StreamCut, match="inside the stream"):
            await take_all(answer, got)
        assert b"".join(got) == b"onetwo"
        answer.close()
        await client.close()


async def test_a_plain_answer_is_read_to_its_end_and_no_further_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_client, "MAX_ANSWER_BYTES", 1000)
    async with serving(PLAYS, b"") as server:
        client = OwnClient()
        answer = await asked(client, server.port, "whole")
        assert await answer.read() == b"onetwo"
        assert await answer.read() == b""
        answer = await asked(client, server.port, "large")
        with pytest.raises(ConnectionLost, match="larger than 1000 bytes"):
            await answer.read()
        answer.close()
        await client.close()


async def test_every_request_says_who_asks_and_that_nothing_is_to_be_packed() -> None:
    heads: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    client = OwnClient()
    answer = await asked(client, server.sockets[0].getsockname()[1], "x")
    assert (answer.status, await answer.read()) == (204, b"")
    for name, value in DEFAULT_HEADERS.items():
        assert f"\r\n{name}: {value}\r\n".encode() in heads[0]
    await client.close()
    server.close()
