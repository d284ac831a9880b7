from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller.app import Running, running
from controller.settings import ServeSettings
from tests.fakes.rules_repo import RulesRepo


async def answered(request: web.Request) -> web.Response:
    body = await request.json()
    prompt = body["messages"][0]["content"]
    if prompt == "refuse":
        return web.json_response({"error": {"message": "a ceiling is spent"}}, status=402)
    if prompt == "garbage":
        return web.Response(text="<html>", headers={"x-pointsman-request-id": "never"})
    text = f"{body['model']} says <b>{prompt}</b>"
    return web.json_response(
        {"choices": [{"message": {"content": text}}]}, headers={"x-pointsman-request-id": "pm-1", "server": "x"}
    )


@pytest.fixture
async def sidecar() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answered)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


@pytest.fixture
async def sending(tmp_path: Path, sidecar: str) -> AsyncIterator[tuple[Running, aiohttp.ClientSession]]:
    repo = RulesRepo(tmp_path / "rules")
    repo.commit()
    settings = ServeSettings(repo=str(repo.path), state=tmp_path / "state", listen_port=0, playground_sidecar=sidecar)
    async with running(settings) as controller, aiohttp.ClientSession(controller.url) as session:
        await controller.parts.publisher.newer_than("")
        token = controller.parts.tokens.admin
        session.headers["Authorization"] = f"Bearer {token}"
        yield controller, session


async def form_key(session: aiohttp.ClientSession) -> str:
    async with session.get("/playground") as got:
        return (await got.text()).rpartition('name="form_key" value="')[2].partition('"')[0]


async def send(session: aiohttp.ClientSession, **fields: str) -> tuple[int, str]:
    key = await form_key(session)
    async with session.post("/playground", data={"use_case": "support", "form_key": key, **fields}) as got:
        return got.status, await got.text()


async def test_it_says_where_a_request_would_go_and_why(
    controller: Running, client: aiohttp.ClientSession, loaded: str
) -> None:
    question = urlencode({"use_case": "support", "facts": '{"input_tokens": 1200}', "given": "{}"})
    async with client.get(f"/playground?{question}&table=plan") as got:
        assert (await got.text()).splitlines()[1:] == ["sonnet,anthropic,primary"]
    down = urlencode({"use_case": "support", "given": '{"down": ["anthropic"]}'})
    async with client.get(f"/playground?{down}&table=skipped") as got:
        assert (await got.text()).splitlines()[1:] == ["sonnet,anthropic,down"]
    async with client.get("/playground") as got:
        assert "--playground-sidecar" in await got.text(), "how to allow sending"


@pytest.mark.parametrize(("name", "value", "says"), [
    ("facts", "{", "facts: not JSON"),
    ("given", '{"down": ["antropic"]}', "did you mean"),
    ("use_case", "<script>", "unknown use case"),
])  # fmt: skip
async def test_what_cannot_be_understood_is_said(
    controller: Running, client: aiohttp.ClientSession, loaded: str, name: str, value: str, says: str
) -> None:
    async with client.get("/playground?" + urlencode({"use_case": "support", name: value})) as got:
        page = await got.text()
        assert got.status == 400
        assert says in page
        assert "<script>" not in page


async def test_a_prompt_is_answered_with_its_call(sending: tuple[Running, aiohttp.ClientSession]) -> None:
    _, session = sending
    status, page = await send(session, prompt="hello")
    assert status == 200
    assert "support says &lt;b&gt;hello&lt;/b&gt;" in page
    assert '<a href="/calls/pm-1">' in page
    assert "server" not in page
    status, page = await send(session, prompt="refuse")
    assert "402: a ceiling is spent" in page


@pytest.mark.parametrize(("fields", "says"), [
    ({"prompt": ""}, "1 to 8,000 characters"),
    ({"prompt": "x" * 8001}, "1 to 8,000 characters"),
    ({"prompt": "hi", "use_case": "another"}, "No use case"),
    ({"prompt": "garbage"}, "not as a sidecar does"),
])  # fmt: skip
async def test_what_is_not_sent_or_not_answered_is_said(
    sending: tuple[Running, aiohttp.ClientSession], fields: dict[str, str], says: str
) -> None:
    status, page = await send(sending[1], **fields)
    assert status == 400
    assert says in page


async def test_only_who_may_act_sends_and_only_from_our_own_page(
    sending: tuple[Running, aiohttp.ClientSession],
) -> None:
    controller, session = sending
    async with session.post("/playground", data={"use_case": "support", "prompt": "hello"}) as got:
        assert got.status == 403
    async with (
        aiohttp.ClientSession(controller.url) as nobody,
        nobody.post("/playground", data={"use_case": "support", "prompt": "hello"}, allow_redirects=False) as got,
    ):
        assert got.status in (303, 401)
