"""What the journal says about requests, and about clients that leave."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from controller.demo.simulator.journal import masked
from controller.demo.simulator.settings import SimulatorSettings


@pytest.fixture
def settings(tmp_path: Path) -> SimulatorSettings:
    return SimulatorSettings(name="alpha", journal_path=tmp_path / "journal.jsonl", journal_entries=3)


async def ended(simulator: Any) -> dict[str, Any]:
    """The last entry, once it has ended."""
    async with asyncio.timeout(2):
        while (entry := (await simulator.entries())[-1])["ended"] is None:
            pass
    return dict(entry)


async def test_a_request_is_kept_with_its_answer_and_without_its_key(simulator: Any) -> None:
    headers = {"authorization": "Bearer sk-secret-value-9876", "x-pointsman-request-id": "r1"}
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    async with simulator.http.post(f"{simulator.url}/v1/chat/completions", json=body, headers=headers) as answer:
        usage = (await answer.json())["usage"]
    (entry,) = await simulator.entries()
    assert entry["path"] == "/v1/chat/completions"
    assert entry["body"] == body
    assert entry["headers"]["authorization"] == "Bearer ***9876"
    assert entry["pointsman_request_id"] == "r1"
    assert entry["status"] == 200
    assert entry["started"] <= entry["ended"]
    assert entry["usage"]["input_tokens"] == usage["prompt_tokens"]
    assert entry["usage"]["output_tokens"] == usage["completion_tokens"]
    assert not entry["client_left"]


@pytest.mark.parametrize("fault", [{"hang": True}, {"delay": 60}, {"stall": 2}, {"first_token_delay": 60}])
async def test_a_client_that_leaves_is_noticed_at_once(simulator: Any, fault: dict[str, Any]) -> None:
    await simulator.fault(fault)
    call = asyncio.create_task(read(simulator))
    async with asyncio.timeout(2):
        while not await simulator.entries():
            pass
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    entry = await ended(simulator)
    assert entry["client_left"]
    assert entry["usage"] is None


async def read(simulator: Any) -> bytes:
    async with simulator.post("openai", stream=True) as answer:
        return bytes(await answer.read())


async def test_a_cut_is_not_the_clients_doing(simulator: Any) -> None:
    await simulator.fault({"close": True})
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await read(simulator)
    assert not (await ended(simulator))["client_left"]


async def test_the_journal_is_bounded_and_counts_on(simulator: Any) -> None:
    for _ in range(5):
        await read(simulator)
    async with simulator.http.get(f"{simulator.url}/_sim/journal", params={"since": "3"}) as answer:
        journal = await answer.json()
    assert journal["received"] == 5
    assert [entry["number"] for entry in journal["entries"]] == [4, 5]
    assert len(await simulator.entries()) == 3
    async with simulator.http.delete(f"{simulator.url}/_sim/journal"):
        pass
    assert await simulator.entries() == []


async def test_the_file_has_a_line_per_start_and_end(simulator: Any, settings: SimulatorSettings) -> None:
    await read(simulator)
    assert settings.journal_path is not None
    lines = [json.loads(line) for line in settings.journal_path.read_text().splitlines()]
    assert [(line["event"], line["number"]) for line in lines] == [("start", 1), ("end", 1)]
    assert lines[1]["status"] == 200


@pytest.mark.parametrize(
    ("value", "shown"),
    [("Bearer sk-abcdefghij", "Bearer ***ghij"), ("sk-abcdefghij", "***ghij"), ("Bearer short", "Bearer ***")],
)
def test_masked(value: str, shown: str) -> None:
    assert masked(value) == shown
