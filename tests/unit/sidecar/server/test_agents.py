"""The agents' port: every answer, also an error, in the caller's own dialect and with its request id."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from schemas.bundle import Caller
from sidecar.core.shadows import PAUSE_SECONDS
from sidecar.errors import StreamCut
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.agent_port import Client, Port
from tests.fakes.core import GOOD, Core
from tests.fakes.ports import PARK, Script, at_rest

CALL = "/v1/chat/completions"
GEMINI_CALL = b'{"contents":[{"parts":[{"text":"Hello"}]}]}'


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with Port(tmp_path, Core()) as made:
        yield made


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("POST", CALL, {"data": b"{"}, 400, "malformed_request"),
        ("POST", CALL, {"data": wire.request(model="x")}, 404, "unknown_use_case"),
        ("POST", CALL, {"data": b" " * 3_000}, 413, "body_too_large"),
        ("GET", CALL, {}, 405, "wrong_method"),
        ("GET", "/nothing", {}, 404, "unknown_path"),
        ("POST", CALL, {"data": wire.request(), "headers": {"host": "evil.example"}}, 403, "foreign_host"),
        ("POST", CALL, {"data": wire.request(), "headers": {"origin": "https://evil.example"}}, 403, "foreign_host"),
        ("POST", "/pointsman/explain", {"data": b"[]"}, 400, "malformed_request"),
        ("POST", "/pointsman/explain", {"data": b'{"use_case":"x"}'}, 404, "unknown_use_case"),
        ("POST", "/pointsman/explain", {"data": b'{"use_case":"chat","facts":{"tool":1}}'}, 400, "malformed_request"),
        ("POST", "/pointsman/explain", {"data": b"\xff"}, 400, "malformed_request"),
        ("GET", "/pointsman/calls/nothing", {}, 404, "unknown_path"),
        ("GET", "/pointsman/calls", {}, 400, "malformed_request"),
    ],
)
@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini"])
async def test_every_refusal_is_said_in_the_caller_s_dialect(
    client: Client, method: str, path: str, options: dict[str, Any], status: int, code: str, dialect: str
) -> None:
    headers = dict(options.get("headers", {}))
    if dialect == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
    if dialect == "gemini":
        headers["x-goog-api-key"] = "some-key"
    answer = await client.request(method, path, **{**options, "headers": headers})
    body = await answer.json()
    assert answer.status == status
    assert answer.headers["x-pointsman-request-id"].startswith("pm-")
    assert code in json.dumps(body)
    assert ("type" in body) is (dialect == "anthropic")
    assert ("details" in body["error"] and "status" in body["error"]) is (dialect == "gemini")


@pytest.mark.parametrize(
    ("method", "path", "data", "status", "code"),
    [
        ("POST", "/v1beta/models/chat:generateContent", b"{", 400, "malformed_request"),
        ("POST", "/v1beta/models/chat:generateContent", b"{}", 400, "malformed_request"),
        ("POST", "/v1beta/models/chat:streamGenerateContent?alt=proto", GEMINI_CALL, 400, "malformed_request"),
        ("POST", "/v1beta/models/chat:generateContent?alt=sse", GEMINI_CALL, 400, "malformed_request"),
        ("POST", "/v1/models/nobody:generateContent", GEMINI_CALL, 404, "unknown_use_case"),
        ("GET", "/v1beta/models/chat:generateContent", None, 405, "wrong_method"),
        ("POST", "/v1beta/models/chat:predict", GEMINI_CALL, 404, "unknown_path"),
        ("GET", "/v1beta/models/nobody", None, 404, "unknown_use_case"),
    ],
)
async def test_the_path_of_a_gemini_call_says_which_dialect_its_refusal_is_in(
    client: Client, method: str, path: str, data: bytes | None, status: int, code: str
) -> None:
    answer = await client.request(method, path, data=data)
    said = await answer.json()
    error = (said[0] if "stream" in path else said)["error"]
    assert (answer.status, error["code"], error["details"][0]["reason"]) == (status, status, code)


async def test_the_path_of_a_gemini_call_names_its_model(client: Client) -> None:
    answer = await client.post("/v1beta/models/chat:generateContent", data=GEMINI_CALL)
    body = await answer.json()
    assert (answer.status, answer.headers["x-pointsman-use-case"]) == (200, "chat")
    assert body["candidates"][0]["finishReason"] == "STOP"


AS_ARRAY = "/v1beta/models/chat:streamGenerateContent"


@pytest.mark.parametrize("query", ["", "?alt=json"])
async def test_googles_stream_is_one_json_array_unless_it_is_asked_for_as_events(tmp_path: Path, query: str) -> None:
    async with Port(tmp_path, Core(Script(wire.STREAM))) as client:
        answer = await client.post(AS_ARRAY + query, data=GEMINI_CALL)
        assert answer.content_type == "application/json"
        said = await answer.json()
    texts = [part["text"] for chunk in said for part in chunk["candidates"][0]["content"]["parts"]]
    assert "".join(texts) == "HiHi"
    assert said[-1]["candidates"][0]["finishReason"] == "STOP"
    assert said[-1]["usageMetadata"]["cost_usd"] > 0


async def test_an_error_amid_the_array_is_its_last_element(tmp_path: Path) -> None:
    cut = Script((wire.OPENING, wire.CONTENT, StreamCut("cut")))
    async with Port(tmp_path, Core(cut)) as client:
        first, last = await (await client.post(AS_ARRAY, data=GEMINI_CALL)).json()
    assert first["candidates"][0]["content"]["parts"] == [{"text": "Hi"}]
    assert last["error"]["details"][0]["reason"] == "stream_cut"


async def test_the_array_arrives_element_by_element(tmp_path: Path) -> None:
    core = Core(Script((wire.OPENING, wire.CONTENT, PARK)))
    async with Port(tmp_path, core) as client:
        answer = await client.post(AS_ARRAY, data=GEMINI_CALL)
        assert (await answer.content.readany()).startswith(b'[{"candidates"')
        answer.close()


async def test_a_refused_stream_is_an_array_of_one_error(tmp_path: Path) -> None:
    refused = Script((b'{"error":{"message":"temperature: too hot"}}',), status=400)
    async with Port(tmp_path, Core(refused)) as client:
        answer = await client.post(AS_ARRAY, data=GEMINI_CALL)
        (said,) = await answer.json()
    assert (answer.status, said["error"]["message"]) == (400, "temperature: too hot")


async def test_a_key_in_the_query_is_the_callers_own_in_googles_header(tmp_path: Path) -> None:
    core = Core(Script((b'{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}',)))
    ours = {"one": bundles.provider(caller_key=True, dialect="gemini")}
    models = {"alpha": bundles.model("one")}
    async with Port(tmp_path, core, providers=ours, models=models, chain=("alpha",)) as client:
        await client.post("/v1beta/models/chat:generateContent?key=callers-own", data=GEMINI_CALL)
    (sent,) = core.upstream.sent
    assert sent.headers["x-goog-api-key"] == "callers-own"
    assert "callers-own" not in sent.path + core.sink.only.id


async def test_models_are_listed_in_the_shape_that_is_asked_for(client: Client) -> None:
    for path, headers in (("/v1beta/models", {}), ("/v1/models", {"x-goog-api-key": "k"})):
        listed = await (await client.get(path, headers=headers)).json()
        assert [model["name"] for model in listed["models"]] == ["models/chat"]
    assert "data" in await (await client.get("/v1/models")).json()


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/v1/models/chat", {}, {"object": "model", "id": "chat", "owned_by": "team"}),
        ("/v1/models/chat", {"anthropic-version": "2023-06-01"}, {"type": "model", "id": "chat"}),
        ("/v1/models/chat", {"x-goog-api-key": "k"}, {"name": "models/chat"}),
        ("/v1beta/models/chat", {}, {"name": "models/chat"}),
        ("/v1/models/maker/gpt:8b", {}, {"id": "maker/gpt:8b"}),
        ("/v1/models/maker%2Fgpt:8b", {}, {"id": "maker/gpt:8b"}),
    ],
)
async def test_a_model_is_looked_up_by_name_or_alias_in_the_shape_that_is_asked_for(
    tmp_path: Path, path: str, headers: dict[str, str], expected: dict[str, str]
) -> None:
    async with Port(tmp_path, Core(), aliases=("maker/*",)) as client:
        found = await (await client.get(URL(path, encoded=True), headers=headers)).json()
        assert {name: found[name] for name in expected} == expected


async def test_explain_takes_a_gemini_call_as_it_would_be_sent(client: Client) -> None:
    path = "/v1beta/models/chat:streamGenerateContent?alt=sse"
    asked = {"path": path, "headers": {}, "body": json.loads(GEMINI_CALL)}
    explained = await (await client.post("/pointsman/explain", json=asked)).json()
    assert explained["use_case"] == "chat"


async def test_a_body_of_unknown_length_is_held_to_the_limit_too(client: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b" " * 1_000

    answer = await client.post(CALL, data=pieces())
    assert answer.status == 413


@pytest.mark.parametrize("header", ["x-pointsman-use-case", "x-pointsman-agent", "x-pointsman-target", "x-api-key"])
async def test_a_header_that_is_not_text_is_a_refusal_and_no_crash(client: Client, header: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    body = wire.request()
    head = b"POST %b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: %d\r\n%b: a\xff\r\n\r\n"
    writer.write(head % (CALL.encode(), len(body), header.encode()) + body)
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400")
    assert header.encode() in answer
    writer.close()
    await writer.wait_closed()


async def test_a_body_whose_compression_is_broken_is_the_caller_s_fault(client: Client) -> None:
    answer = await client.post(CALL, data=b"no gzip", headers={"content-encoding": "gzip"})
    assert answer.status == 400


async def test_without_rules_a_call_is_told_so(tmp_path: Path) -> None:
    async with Port(tmp_path, Core(), ready=False) as client:
        answer = await client.post(CALL, data=wire.request())
        assert (answer.status, (await answer.json())["error"]["code"]) == (503, "not_ready")


async def test_a_call_is_answered_and_can_be_looked_up(client: Client) -> None:
    answer = await client.post(CALL, data=wire.request())
    assert (answer.status, await answer.read()) == (200, wire.chat_answer())
    found = await client.get(f"/pointsman/calls/{answer.headers['x-pointsman-request-id']}")
    assert (await found.json())["outcome"] == "ok"


async def test_a_stream_is_answered_as_events(tmp_path: Path) -> None:
    async with Port(tmp_path, Core(Script(wire.STREAM))) as client:
        answer = await client.post(CALL, data=wire.request(stream=True))
        assert answer.content_type == "text/event-stream"
        assert (await answer.read()).endswith(wire.DONE)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_shadow_is_asked_once_the_caller_has_everything(tmp_path: Path, stream: bool) -> None:
    shadow = bundles.shadow()
    core = Core(
        Script(wire.STREAM) if stream else GOOD, chain=["alpha"], shadow=shadow, shadow_scripts=[Script((PARK,))]
    )
    async with Port(tmp_path, core, chain=["alpha"], shadow=shadow) as client:
        answer = await client.post(CALL, data=wire.request(stream=stream))
        assert (await answer.read()).endswith(wire.DONE if stream else wire.chat_answer())
        await core.clock.turn(PAUSE_SECONDS)
        assert core.shadow_upstream.models == ["beta@two"]
        for task in core.shadows._tasks:
            task.cancel()
        await at_rest()


async def test_a_bug_inside_a_stream_ends_the_connection_and_is_no_second_answer(tmp_path: Path) -> None:
    async with Port(tmp_path, Core(Script((wire.CONTENT, RuntimeError("a bug"))))) as client:
        with pytest.raises(aiohttp.ClientError) as failed:
            await (await client.post(CALL, data=wire.request(stream=True))).read()
        assert "HTTP/1.1" not in str(failed.value)


async def test_explain_calls_nobody_and_takes_facts_or_a_request(tmp_path: Path) -> None:
    core = Core()
    async with Port(tmp_path, core) as client:
        by_facts = await (await client.post("/pointsman/explain", json={"use_case": "chat", "facts": {}})).json()
        whole = {"path": CALL, "headers": {}, "body": json.loads(wire.request())}
        by_request = await (await client.post("/pointsman/explain", json=whole)).json()
    assert by_request == by_facts
    assert [step["model"] for step in by_facts["plan"]] == ["alpha", "beta"]
    assert core.upstream.sent == []


async def test_explain_keeps_embeddings_to_one_model(tmp_path: Path) -> None:
    models = {
        "alpha": bundles.model("one", capabilities=("embeddings",)),
        "beta": bundles.model("two", vendor="other", capabilities=("embeddings",)),
    }
    async with Port(tmp_path, Core(), models=models) as client:
        asked = {"use_case": "chat", "facts": {"embeddings": True}}
        by_facts = await (await client.post("/pointsman/explain", json=asked)).json()
        whole = {"path": "/v1/embeddings", "body": {"model": "chat", "input": "A station"}}
        by_request = await (await client.post("/pointsman/explain", json=whole)).json()
    assert by_facts == by_request
    assert [step["model"] for step in by_facts["plan"]] == ["alpha"]
    assert by_facts["skipped"] == [{"model": "beta", "provider": "two", "reason": "other_model"}]


async def test_a_caller_sees_its_own_use_cases_and_calls_only(tmp_path: Path) -> None:
    callers = tuple(
        Caller(name=name, key_sha256=hashlib.sha256(name.encode()).hexdigest(), use_cases=cases)
        for name, cases in (("a", ("chat",)), ("b", ("other",)))
    )
    more = {"other": bundles.bundle().use_cases["chat"]}
    async with Port(tmp_path, Core(), callers=callers, more_use_cases=more) as client:
        assert (await client.post(CALL, data=wire.request())).status == 401
        models = await (await client.get("/v1/models", headers={"x-api-key": "b"})).json()
        assert [model["id"] for model in models["data"]] == ["other"]
        assert (await client.get("/v1/models/other", headers={"x-api-key": "b"})).status == 200
        assert (await client.get("/v1/models/chat", headers={"x-api-key": "b"})).status == 404
        assert (await client.get("/v1/models/chat")).status == 401
        mine = await client.post(CALL, data=wire.request(), headers={"x-api-key": "a"})
        path = f"/pointsman/calls/{mine.headers['x-pointsman-request-id']}"
        assert (await client.get(path, headers={"x-api-key": "a"})).status == 200
        assert (await client.get(path, headers={"x-api-key": "b"})).status == 404
        listed = [
            (await (await client.get("/pointsman/calls?agent=a", headers={"x-api-key": key})).json())["calls"]
            for key in ("a", "b")
        ]
        assert [[call["id"] for call in calls] for calls in listed] == [[path.rpartition("/")[2]], []]
        assert (await client.post(CALL, data=wire.request(), headers={"x-api-key": "b"})).status == 403


async def test_open_calls_are_counted_until_they_end(tmp_path: Path) -> None:
    port = Port(tmp_path, Core(Script((wire.CONTENT, PARK))))
    async with port as client:
        answer = await client.post(CALL, data=wire.request(stream=True))
        assert port.agents.calls_open == 1
        port.core.upstream.answers[0].fail(ConnectionResetError("gone"))
        with pytest.raises(aiohttp.ClientError):
            await answer.read()
        assert port.agents.calls_open == 0


@pytest.mark.parametrize("has_left", [True, False])
async def test_a_caller_that_has_left_is_no_error_of_ours(tmp_path: Path, has_left: bool) -> None:
    """A write finds out before the handler is cancelled; aiohttp would log a traceback."""
    port = Port(tmp_path, Core())
    transport = Mock(spec=asyncio.Transport)
    transport.is_closing.return_value = has_left
    request = make_mocked_request("POST", "/v1/messages", headers={"host": "127.0.0.1"}, transport=transport)

    async def write(_: web.Request) -> web.StreamResponse:
        raise ConnectionResetError("Cannot write to closing transport")

    if has_left:
        assert (await port.agents._edge(request, write)).status == 200
    else:
        with pytest.raises(ConnectionResetError):
            await port.agents._edge(request, write)
