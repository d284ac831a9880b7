import asyncio
import re
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from controller.api.guards import Access
from controller.api.routes import ROUTES
from controller.app import Running, running
from controller.settings import ServeSettings
from controller.tokens import load_tokens
from tests.fakes.rules_repo import RulesRepo

GUARDED = [(route.method, route.path) for route in ROUTES if route.access in (Access.SIDECAR, Access.ADMIN)]
PAGES = [
    re.sub(r"{\w+}", "x", route.path)
    for route in ROUTES
    if route.access in (Access.PAGE, Access.PERSON) and route.method == "GET"
]
READ = [route.path for route in ROUTES if route.access is Access.READER]


async def error_of(answer: aiohttp.ClientResponse) -> tuple[int, str]:
    body = await answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert "Traceback" not in body["error"]["message"]
    return answer.status, body["error"]["code"]


def test_watching_status_and_ingest_are_guarded() -> None:
    assert {path for _, path in GUARDED} == {
        "/v1/watch", "/v1/bundle", "/v1/bundle/{digest}", "/v1/status", "/v1/usage", "/v1/spend", "/v1/calls",
            "/v1/pin", "/v1/unpin", "/v1/rollback", "/v1/promote", "/v1/suspend", "/v1/resume",
            "/v1/canary/stop", "/v1/canary/resume",
    }  # fmt: skip
    assert ("POST", "/v1/usage") in GUARDED


def test_what_tells_of_every_team_is_for_readers() -> None:
    assert set(READ) == {
        "/v1/status", "/v1/fleet", "/v1/usage", "/v1/feedback", "/v1/shadows", "/v1/problems",
    }  # fmt: skip


@pytest.mark.parametrize("path", READ)
async def test_on_loopback_reading_is_open_until_tokens_are_configured(controller: Running, path: str) -> None:
    async with aiohttp.ClientSession(controller.url) as session, session.get(path) as got:
        assert got.status == 200


@pytest.mark.parametrize("changes", [{"listen_host": "0.0.0.0"}, {"tokens": "."}])
async def test_elsewhere_reading_takes_a_token_that_sees_everything(
    tmp_path: Path, repo: RulesRepo, changes: dict[str, str]
) -> None:
    load_tokens(tmp_path, make=True)
    placed = {"tokens": tmp_path} if "tokens" in changes else changes
    settings = ServeSettings(repo=str(repo.path), state=tmp_path / "state", **{"listen_port": 0, **placed})  # type: ignore[arg-type]
    async with running(settings) as controller:
        tokens = controller.parts.tokens
        url = controller.url.replace("0.0.0.0", "127.0.0.1")
        asked = [("", 401), ("wrong-token-of-nobody", 401), (tokens.sidecar, 200), (tokens.admin, 200)]
        for path in READ:
            for token, status in asked:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                async with aiohttp.ClientSession(url, headers=headers) as session, session.get(path) as got:
                    assert (path, token, got.status) == (path, token, status)
        async with aiohttp.ClientSession(url) as session:
            for path in PAGES:
                async with session.get(path, allow_redirects=False) as got:
                    assert (path, got.status, got.headers.get("Location", "").partition("?")[0]) == (
                        path,
                        303,
                        "/login",
                    )
            for path, status in {"/healthz": 200, "/readyz": 503, "/metrics": 200}.items():
                async with session.get(path) as got:
                    assert got.status == status


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
async def test_without_the_token_nothing_is_told(
    controller: Running, method: str, path: str, header: dict[str, str]
) -> None:
    async with (
        aiohttp.ClientSession(controller.url) as session,
        session.request(method, path.replace("{digest}", "sha256:0"), headers=header) as got,
    ):
        assert await error_of(got) == (401, "unauthenticated")


async def test_the_admin_s_token_is_not_the_sidecar_s(controller: Running) -> None:
    headers = {"Authorization": f"Bearer {controller.parts.tokens.admin}"}
    async with aiohttp.ClientSession(controller.url, headers=headers) as session, session.get("/v1/bundle") as got:
        assert got.status == 401


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/v1/usage", "/v1/watch", "/nowhere"])
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "rules.example.com"}, "foreign_host"),
        ({"Host": "rules.example.com:4200"}, "foreign_host"),
        ({"Origin": "https://evil.example.com"}, "foreign_origin"),
        ({"Origin": "null"}, "foreign_origin"),
    ],
)
async def test_a_foreign_page_gets_nothing(
    client: aiohttp.ClientSession, path: str, headers: dict[str, str], code: str
) -> None:
    async with client.get(path, headers=headers) as got:
        assert await error_of(got) == (403, code)


async def test_a_page_on_this_machine_is_answered(client: aiohttp.ClientSession) -> None:
    async with client.get("/healthz", headers={"Origin": "http://localhost:3000", "Host": "localhost:4200"}) as got:
        assert got.status == 200


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/nowhere", (404, "unknown_path")),
        ("DELETE", "/v1/usage", (405, "wrong_method")),
        ("GET", "/v1/bundle/sha256:00", (404, "unknown_bundle")),
    ],
)
async def test_errors_are_json(client: aiohttp.ClientSession, method: str, path: str, error: tuple[int, str]) -> None:
    async with client.request(method, path) as got:
        assert await error_of(got) == error


async def test_a_wrong_method_names_the_right_ones(client: aiohttp.ClientSession) -> None:
    async with client.delete("/v1/usage") as got:
        assert got.headers["Allow"] == "GET,POST"


async def test_an_expectation_that_is_no_text_is_no_fault_of_ours(controller: Running) -> None:
    url = URL(controller.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-con\xf5\r\n\r\n")
    said = await reader.read()
    writer.close()
    assert said.startswith(b"HTTP/1.1 200 OK")
