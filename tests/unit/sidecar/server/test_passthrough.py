"""What passes through: what is booked however it ends, and that a provider's failure is never taken for an answer."""

import gzip
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yarl

from schemas.bundle import Timeouts
from sidecar.errors import StreamCut, Unreachable
from tests.fakes.agent_port import Port
from tests.fakes.core import Core
from tests.fakes.ports import PARK, Script

IMAGES, FILES, SPEECH = "/v1/images/generations", "/v1/files", "/v1/audio/speech"
ASK: dict[str, Any] = {
    "data": b'{ "model": "chat", "prompt": "A train" }',
    "headers": {"content-type": "application/json"},
}
KEY_IS_DEAD = b'{"error":{"message":"Incorrect API key provided: sk-ours","code":"invalid_api_key"}}'


async def test_an_answer_is_passed_on_and_booked_once(tmp_path: Path) -> None:
    core = Core(Script((b"one", b"two"), headers={"content-type": "image/png", "x-provider-secret": "s"}))
    async with Port(tmp_path, core) as client:
        answer = await client.post(IMAGES, **ASK)
        assert await answer.read() == b"onetwo"
    assert answer.headers["content-type"] == "image/png"
    assert "x-provider-secret" not in answer.headers
    assert core.upstream.sent[0].path == "POST /images/generations"
    assert core.upstream.sent[0].body == b'{"model":"one-name","prompt":"A train"}'
    record = core.sink.only
    assert (record.outcome, record.usage, record.cost_usd) == ("ok", None, None)
    assert [begun.outcome for begun in core.sink.begun] == ["unknown_outcome"]
    core.assert_nothing_left_open()


async def test_what_names_no_model_needs_a_use_case(tmp_path: Path) -> None:
    core = Core()
    async with Port(tmp_path, core) as client:
        refused = await client.get(FILES)
        assert refused.status == 404
        assert "x-pointsman-use-case" in (await refused.json())["error"]["message"]
        answer = await client.get(FILES, headers={"x-pointsman-use-case": "chat"})
        assert answer.status == 200
    assert core.sink.booked == []


async def test_a_form_that_does_not_say_where_its_parts_end_is_refused(tmp_path: Path) -> None:
    async with Port(tmp_path, Core()) as client:
        headers = {"content-type": "multipart/form-data", "x-pointsman-use-case": "chat"}
        answer = await client.post("/v1/audio/transcriptions", data=b"--x", headers=headers)
        assert (answer.status, "boundary" in (await answer.json())["error"]["message"]) == (400, True)


async def test_a_key_in_the_query_goes_no_further(tmp_path: Path) -> None:
    core = Core()
    async with Port(tmp_path, core) as client:
        await client.get(f"{FILES}?limit=2&key=callers-own&after=a%2Fb", headers={"x-pointsman-use-case": "chat"})
    assert core.upstream.sent[0].path == "GET /files?limit=2&after=a/b"


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (Script(refusal=Unreachable("down")), 503, "unreachable"),
        (Script((KEY_IS_DEAD,), status=401), 502, "provider_auth"),
    ],
)
@pytest.mark.parametrize("path", [IMAGES, FILES])
async def test_a_failure_of_ours_is_said_in_our_words_and_booked(
    tmp_path: Path, script: Script, status: int, code: str, path: str
) -> None:
    core = Core(script)
    async with Port(tmp_path, core) as client:
        answer = await client.post(path, **ASK)
        said = await answer.json()
    assert (answer.status, said["error"]["code"]) == (status, code)
    assert "sk-ours" not in str(said)
    assert answer.headers["x-should-retry"] == "false"
    assert (core.sink.only.outcome, core.sink.only.cost_usd) == (code, None)
    core.assert_nothing_left_open()


async def test_an_answer_that_breaks_off_is_no_whole_answer(tmp_path: Path) -> None:
    core = Core(Script((b"half", StreamCut("cut"))))
    async with Port(tmp_path, core) as client:
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
            await (await client.post(IMAGES, **ASK)).read()
    assert core.sink.only.outcome == "stream_cut"
    core.assert_nothing_left_open()


async def test_the_deadline_bounds_the_whole_call(tmp_path: Path) -> None:
    core = Core(Script((PARK,)))
    async with Port(tmp_path, core, timeouts=Timeouts(deadline=0.02)) as client:
        answer = await client.post(IMAGES, **ASK)
        assert (answer.status, (await answer.json())["error"]["code"]) == (504, "deadline_exceeded")
    assert core.sink.only.outcome == "deadline_exceeded"
    core.assert_nothing_left_open()


async def test_the_first_bytes_arrive_while_the_provider_is_still_sending(tmp_path: Path) -> None:
    core = Core(Script((b"first", PARK)))
    async with Port(tmp_path, core, timeouts=Timeouts(deadline=0.2)) as client:
        answer = await client.post(SPEECH, **ASK)
        assert await answer.content.readany() == b"first"
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
            await answer.content.read()
    assert core.sink.only.outcome == "deadline_exceeded"
    core.assert_nothing_left_open()


async def test_a_compressed_body_is_sent_unpacked_and_without_its_old_length(tmp_path: Path) -> None:
    core = Core()
    headers = {"content-type": "audio/wav", "content-encoding": "gzip", "x-pointsman-use-case": "chat"}
    async with Port(tmp_path, core) as client:
        answer = await client.post(FILES, data=gzip.compress(b"sound" * 99), headers=headers)
        assert answer.status == 200
    assert core.upstream.sent[0].body == b"sound" * 99
    assert "content-length" not in core.upstream.sent[0].headers


async def test_it_goes_past_a_target_that_rests(tmp_path: Path) -> None:
    core = Core()
    for _ in range(5):
        core.pipeline.books.health.failed("alpha@one", core.clock.monotonic(), 0.5)
    async with Port(tmp_path, core) as client:
        answer = await client.post(IMAGES, **ASK)
    assert answer.headers["x-pointsman-provider"] == "two"
    assert answer.headers["x-pointsman-reason"] == "breaker_open"


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"model":1}'])
async def test_a_json_body_that_is_none_is_refused(tmp_path: Path, body: bytes) -> None:
    core = Core()
    async with Port(tmp_path, core) as client:
        answer = await client.post(IMAGES, data=body, headers={"content-type": "application/json"})
    assert answer.status == 400
    assert core.upstream.sent == []


@pytest.mark.parametrize(
    "tail", ["../admin", "%2e%2e/%2e%2e/admin", "..%2f..%2fadmin", "/evil.example/x", "f1@evil.example/"]
)
async def test_a_path_reaches_nothing_at_the_provider_but_what_is_served(tmp_path: Path, tail: str) -> None:
    """Our key goes with every request that passes: none may leave for another place."""
    core = Core()
    async with Port(tmp_path, core) as client:
        url = yarl.URL(f"{client.make_url(FILES)}/{tail}", encoded=True)
        answer = await client.session.get(url, headers={"x-pointsman-use-case": "chat"})
    assert answer.status == 404
    assert core.upstream.sent == []
