import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from controller.app import Running, running
from controller.settings import ServeSettings
from tests.fakes.rules_repo import RulesRepo


@pytest.fixture
async def browser(controller: Running) -> AsyncIterator[aiohttp.ClientSession]:
    """It keeps cookies of addresses, as a browser does, and follows redirects."""
    async with aiohttp.ClientSession(controller.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def signed_in(browser: aiohttp.ClientSession, token: str, following: str = "/rollout") -> str:
    async with browser.post("/login", data={"token": token, "next": following}) as got:
        assert got.status == 200
        return await got.text()


def key_in(page: str) -> str:
    found = re.search(r'name="form_key" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


async def test_a_person_signs_in_acts_and_is_named_in_the_log(
    controller: Running, browser: aiohttp.ClientSession, loaded: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with browser.get("/rollout") as got:
        assert "Sign in</a> to act" in await got.text()
    page = await signed_in(browser, controller.parts.tokens.admin)
    form = {"form_key": key_in(page), "act": "suspend", "reason": "a market holiday"}
    async with browser.post("/rollout", data=form) as got:
        assert "a market holiday" in await got.text()
    assert controller.parts.publisher.channel.suspended == "a market holiday"
    assert 'by="admin.token at 127.0.0.1"' in caplog.text
    assert controller.parts.tokens.admin not in caplog.text
    digest = controller.parts.publisher.channel.kept().__next__().digest
    for act, more in (("resume", {}), ("pin", {"bundle": digest}), ("unpin", {})):
        async with browser.post("/rollout", data={**form, "act": act, **more}) as got:
            assert got.status == 200
    async with browser.post("/logout", data=form) as got:
        assert "Sign in</a>" in await got.text()
    async with browser.post("/rollout", data=form) as got:
        assert got.status == 401


async def test_the_cookie_is_for_no_script_and_no_other_site(controller: Running) -> None:
    form = {"token": controller.parts.tokens.admin, "next": "//evil.example/"}
    async with (
        aiohttp.ClientSession(controller.url) as session,
        session.post("/login", data=form, allow_redirects=False) as got,
    ):
        assert (got.status, got.headers["Location"]) == (303, "/")
        said = got.headers["Set-Cookie"]
        assert "HttpOnly" in said
        assert "SameSite=Strict" in said


@pytest.mark.parametrize("key", ["", "0" * 64])
async def test_a_form_of_another_site_changes_nothing(
    controller: Running, browser: aiohttp.ClientSession, loaded: str, key: str
) -> None:
    await signed_in(browser, controller.parts.tokens.admin)
    form = {"form_key": key, "act": "suspend", "reason": "mischief"}
    async with browser.post("/rollout", data=form) as got:
        assert got.status == 403
    assert controller.parts.publisher.channel.suspended is None


async def test_who_reads_does_not_act(controller: Running, browser: aiohttp.ClientSession, loaded: str) -> None:
    page = await signed_in(browser, controller.parts.tokens.sidecar)
    assert "sidecar.token" in page
    form = {"form_key": key_in(page), "act": "suspend", "reason": "mischief"}
    async with browser.post("/rollout", data=form) as got:
        assert got.status == 401
    async with browser.get("/calls", allow_redirects=False) as got:
        assert got.headers["Location"] == "/login?next=%2Fcalls"
    assert controller.parts.publisher.channel.suspended is None


@pytest.mark.parametrize(("form", "status", "said"), [
    ({"act": "suspend", "reason": " "}, 400, "reason must say why"), ({"act": "rm", "reason": "x"}, 400, "act must be"),
    ({"act": "promote", "reason": "x"}, 409, "no"), ({"act": "pin", "reason": "x", "bundle": "gone"}, 409, "gone"),
    ({"act": "suspend", "reason": "x", "more": "y"}, 400, "more"),
])  # fmt: skip
async def test_what_cannot_be_done_says_why_on_the_page(
    controller: Running, browser: aiohttp.ClientSession, loaded: str, form: dict[str, str], status: int, said: str
) -> None:
    page = await signed_in(browser, controller.parts.tokens.admin)
    async with browser.post("/rollout", data={**form, "form_key": key_in(page)}) as got:
        answer = await got.text()
        assert got.status == status
        assert said in answer[answer.index('class="warning"') :]


async def test_a_wrong_token_opens_nothing(controller: Running, browser: aiohttp.ClientSession) -> None:
    for token in ("", "wrong", "é"):
        async with browser.post("/login", data={"token": token}) as got:
            assert got.status == 401
            assert "neither" in await got.text()
            assert "Set-Cookie" not in got.headers


async def test_whom_the_proxy_names_acts_by_that_name(tmp_path: Path, repo: RulesRepo) -> None:
    repo.commit()
    settings = ServeSettings(
        repo=str(repo.path), state=tmp_path / "state", listen_port=0, identity_header="X-Forwarded-User"
    )
    async with (
        running(settings) as controller,
        aiohttp.ClientSession(controller.url, headers={"X-Forwarded-User": "ann@shop.example"}) as session,
    ):
        await controller.parts.publisher.newer_than("")
        async with session.get("/rollout") as got:
            page = await got.text()
        assert "ann@shop.example" in page
        async with session.post("/rollout", data={"act": "suspend", "reason": "x"}) as got:
            assert got.status == 403
        form = {"act": "suspend", "reason": "x", "form_key": key_in(page)}
        async with session.post("/rollout", data=form) as got:
            assert got.status == 200
        async with session.post("/v1/resume", json={"reason": "y"}) as got:
            assert got.status == 401
    assert controller.parts.publisher.channel.suspended == "x"
