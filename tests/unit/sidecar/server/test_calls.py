"""Calls that are open when this process ends, and calls that meet a bug of ours: each caller is told, in its words."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from tests.fakes import core_wire as wire
from tests.fakes.agent_port import Port
from tests.fakes.core import Core
from tests.fakes.ports import PARK, Script, at_rest

CALL = "/v1/chat/completions"
ODDLY = {"content-encoding": "identity"}
"""A header that makes a request one of aiohttp's server's."""


@pytest.mark.parametrize("headers", [{}, ODDLY])
async def test_a_call_that_has_no_answer_when_its_time_is_over_is_told_so(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    port = Port(tmp_path, Core(park_at=1))
    async with port as client:
        asking = asyncio.create_task(client.post("/v1/messages", data=MESSAGES, headers=headers))
        await asyncio.wait_for(port.core.upstream.parked.wait(), 5)
        assert port.agents.calls_open == 1
        port.agents.end_open_calls()
        answer = await asking
        assert answer.status == 503
        assert (await answer.json())["error"]["code"] == "not_ready"
    assert port.core.sink.only.outcome == "not_ready"
    assert port.agents.calls_open == 0


@pytest.mark.parametrize("headers", [{}, ODDLY])
async def test_a_stream_that_runs_when_its_time_is_over_ends_with_an_error(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    port = Port(tmp_path, Core(Script((wire.CONTENT, PARK))))
    async with port as client:
        answer = await client.post(CALL, data=wire.request(stream=True), headers=headers)
        port.agents.end_open_calls()
        said = await answer.read()
    assert said.startswith(wire.CONTENT)
    assert b"shutting down" in said
    assert b"[DONE]" not in said
    assert port.core.sink.only.outcome == "not_ready"


@pytest.mark.parametrize("headers", [{}, ODDLY])
async def test_a_bug_of_ours_is_told_without_its_words_and_logged_with_them(
    tmp_path: Path, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    async with Port(tmp_path, Core(Script((ZeroDivisionError("the secret of the bug"),)))) as client:
        answer = await client.post(CALL, data=wire.request(), headers=headers)
        body = await answer.text()
    assert answer.status == 500
    assert "its log says why" in json.loads(body)["error"]["message"]
    assert "the secret of the bug" not in body
    assert answer.headers["x-pointsman-request-id"] in caplog.text
    assert "the secret of the bug" in caplog.text


@pytest.mark.parametrize("headers", [{}, ODDLY])
async def test_a_bug_of_ours_inside_a_stream_breaks_it_off(tmp_path: Path, headers: dict[str, str]) -> None:
    async with Port(tmp_path, Core(Script((wire.CONTENT, ZeroDivisionError("a bug"))))) as client:
        answer = await client.post(CALL, data=wire.request(stream=True), headers=headers)
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize("headers", [{}, ODDLY])
async def test_who_leaves_is_booked_as_gone(tmp_path: Path, headers: dict[str, str]) -> None:
    port = Port(tmp_path, Core(park_at=1))
    async with port as client:
        asking = asyncio.create_task(client.post(CALL, data=wire.request(), headers=headers))
        await asyncio.wait_for(port.core.upstream.parked.wait(), 5)
        asking.cancel()
        async with asyncio.timeout(5):
            while port.agents.calls_open:
                await at_rest()
    assert port.core.sink.only.outcome == "client_closed"


MESSAGES = json.dumps({"model": "chat", "max_tokens": 5, "messages": wire.MESSAGES}).encode()
