"""The upstream over either HTTP client: what it sends, what breaks, and that no message shows a URL or a key."""

import asyncio
import gc
from pathlib import Path

import pytest

from schemas.bundle import Secret
from sidecar.errors import ConnectionLost, CredentialRefused, StreamCut, Unreachable
from sidecar.providers.credentials import Credentials
from sidecar.providers.http import HttpUpstream
from sidecar.routing.snapshot import Target
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.http_clients import NewClient, both_clients
from tests.fakes.provider import providing
from tests.fakes.upstream import Play, serving


def target(url: str, **more: object) -> Target:
    snapshot = bundles.snapshot(
        providers={"one": bundles.provider(url, **more)}, models={"a": bundles.model("one")}, chain=["a"]
    )
    return snapshot.targets["a"][0]


@both_clients
async def test_a_key_that_no_header_can_hold_is_not_shown(
    new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "line\nbreak")
    upstream = HttpUpstream(Credentials(), new_client())
    with pytest.raises(Unreachable) as failed:
        await upstream.send(target("http://127.0.0.1:9", api_key=Secret(env="SOME_KEY")), "/x", {}, b"{}", 1.0)
    assert "break" not in failed.value.message
    await upstream.close()


@both_clients
async def test_a_key_that_cannot_be_read_stops_the_attempt_before_anything_is_sent(
    new_client: NewClient, tmp_path: Path
) -> None:
    upstream = HttpUpstream(Credentials(), new_client())
    with pytest.raises(CredentialRefused):
        await upstream.send(target("http://127.0.0.1:9", api_key=Secret(file=str(tmp_path / "no"))), "/x", {}, b"", 1.0)
    await upstream.close()


@both_clients
async def test_a_connection_is_used_again_after_a_body_that_was_read(new_client: NewClient) -> None:
    plays = {"part": Play(status=None, then="close", only=99)}
    async with serving(plays, wire.chat_answer()) as server:
        upstream = HttpUpstream(Credentials(), new_client())
        where = target(f"http://127.0.0.1:{server.port}/part")
        for _ in range(2):
            answer = await upstream.send(where, "/x", {}, b"{}", 1.0)
            assert await answer.read() == wire.chat_answer()
            answer.close()
        assert server.connections == 1
        await upstream.close()


@both_clients
async def test_a_connection_that_is_reset_after_its_answer_leaves_no_traceback_in_the_log(
    new_client: NewClient,
) -> None:
    logged: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context["message"]))
    long_answer = b"a" * (1 << 20)  # not all of it comes with its headers
    async with serving({"part": Play(status=None, then="reset", only=2)}, long_answer) as server:
        upstream = HttpUpstream(Credentials(), new_client())
        where = target(f"http://127.0.0.1:{server.port}/part")
        answer = await upstream.send(where, "/x", {}, b"{}", 1.0)
        assert await answer.read() == long_answer
        answer.close()
        with pytest.raises(ConnectionLost):
            await upstream.send(where, "/x", {}, b"{}", 1.0)
        await upstream.close()
    del answer
    gc.collect()
    assert logged == []


@both_clients
async def test_what_is_failed_from_outside_is_raised_by_the_read_that_waits_or_comes_next(
    new_client: NewClient,
) -> None:
    async with serving({"part": Play(pieces=(wire.CONTENT,), then="hang")}, b"") as server:
        upstream = HttpUpstream(Credentials(), new_client())
        answer = await upstream.send(target(f"http://127.0.0.1:{server.port}/part"), "/x", {}, b"{}", 1.0)
        assert await answer.chunk() == wire.CONTENT
        answer.fail(StreamCut("from outside"))
        with pytest.raises(StreamCut, match="from outside"):
            await answer.chunk()
        answer.close()
        await upstream.close()


@both_clients
async def test_the_callers_key_is_shown_as_this_provider_wants_it(new_client: NewClient) -> None:
    async with providing() as fake:
        upstream = HttpUpstream(Credentials(), new_client())
        where = target(fake.url, caller_key=True, dialect="anthropic")
        (await upstream.send(where, "/v1/messages", {"authorization": "Bearer callers-own"}, b"{}", 1.0)).close()
        assert fake.values("x-api-key") == ["callers-own"]
        assert fake.values("authorization") == [None]
        await upstream.close()


@both_clients
async def test_azures_deployment_urls_and_key_header_stand_on_the_wire(
    new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "azure-key")
    azure = {"key_header": "api-key", "layout": "azure-deployments", "api_version": "2024-10-21"}
    async with providing() as fake:
        upstream = HttpUpstream(Credentials(), new_client())
        where = target(f"{fake.url}/openai", api_key=Secret(env="SOME_KEY"), **azure)
        (await upstream.send(where, "/chat/completions", {}, b"{}", 1.0)).close()
        (received,) = fake.received
        assert received.path == "/openai/deployments/one-name/chat/completions?api-version=2024-10-21"
        assert (received.headers["api-key"], received.headers.get("authorization")) == ("azure-key", None)
        await upstream.close()
