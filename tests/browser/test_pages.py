"""The controller's pages in a real Chromium: read and used as a person does, in light, in dark and on a phone."""

import csv
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest

from controller.app import Running, running
from controller.dashboard.view import MENU
from controller.settings import ServeSettings
from schemas.record import AttemptRecord, CallRecord, SkippedTarget, Usage
from schemas.scope import WHOLE
from schemas.status import SidecarStatus
from tests.browser.browsing import Browser, looked_at, signed_in
from tests.fakes.postgres import PostgresServer, postgres_server
from tests.fakes.rules_repo import RulesRepo

PATHS = (*(path for path, _ in MENU), "/use-cases/support", "/calls/call-3", "/login")
CALLS = 130


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
async def controller(tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Running]:
    repo = RulesRepo(tmp_path / "rules")
    repo.commit()
    url = postgres.new_database()
    settings = ServeSettings(repo=str(repo.path), state=tmp_path / "state", listen_port=0, database_url=url)
    async with running(settings) as controller:
        yield controller


async def fill(controller: Running) -> None:
    parts = controller.parts
    await parts.publisher.newer_than("")
    usage = Usage(input_tokens=1200, output_tokens=220, cache_read_tokens=400)
    day = parts.ledger.spend().day
    records = []
    for number in range(1, CALLS + 1):
        ok = AttemptRecord(model="sonnet", provider="anthropic", reason="primary", outcome="ok", seconds=1.2,
                           status=200, usage=usage, cost_usd=Decimal("0.0042"))  # fmt: skip
        failed = AttemptRecord(model="sonnet", provider="anthropic", reason="primary", outcome="throttled", seconds=0.1,
                               status=429)  # fmt: skip
        records.append(CallRecord(
            id=f"call-{number}", at=f"{day}T00:00:01.{number:03}Z", sidecar=f"agent-{number % 7}", use_case="support",
            dialect="openai", outcome="ok" if number % 9 else "throttled", bundle="sha256:0", model="sonnet",
            provider="anthropic", vendor="anthropic", reason="primary" if number % 5 else "fallback", status=200,
            usage=usage, cost_usd=Decimal("0.0042"), attempts=(failed, ok) if number % 3 == 0 else (ok,),
            skipped=(SkippedTarget("sonnet", "bedrock", "breaker_open"),),
        ))  # fmt: skip
    await parts.ledger.book(records)
    for number in range(30):
        error = "bundle refused: its signature is of a key that this sidecar does not know" if number == 3 else ""
        status = SidecarStatus(id=f"agent-{number}.support.svc.cluster.local", version="1", state="ACTIVE", error=error)
        parts.roster.note_status(status, WHOLE)


async def test_every_page_is_sound_without_data(browser: Browser, controller: Running) -> None:
    await controller.parts.publisher.newer_than("")
    token = controller.parts.tokens.admin
    await looked_at(browser, controller.url, token, "empty", [path for path in PATHS if path != "/calls/call-3"])


async def test_every_page_is_sound_with_data(browser: Browser, controller: Running) -> None:
    await fill(controller)
    await looked_at(browser, controller.url, controller.parts.tokens.admin, "full", PATHS)


async def test_every_page_is_sound_and_says_so_with_the_ledger_away(
    browser: Browser, controller: Running, postgres: PostgresServer
) -> None:
    await fill(controller)
    token = controller.parts.tokens.admin
    postgres.kill()
    await looked_at(browser, controller.url, token, "away", PATHS)
    page = await browser.page(controller.url)
    await signed_in(page, token)
    for path in ("/", "/use-cases", "/use-cases/support", "/calls", "/review", "/audit"):
        await page.goto(path)
        assert "cannot be read" in await page.locator(".warning").first.inner_text(), path


async def test_every_table_is_there_as_csv(browser: Browser, controller: Running) -> None:
    await fill(controller)
    page = await browser.page(controller.url)
    await signed_in(page, controller.parts.tokens.admin)
    seen = 0
    for path in PATHS:
        await page.goto(path)
        for link in await page.get_by_role("link", name="as CSV").all():
            address = await link.get_attribute("href")
            assert address is not None
            answer = await page.request.get(address)
            head, *rows = csv.reader(StringIO(await answer.text()))
            section = link.locator("xpath=ancestor::section")
            assert [word.lower() for word in await section.locator("thead th").all_text_contents()] == [
                word.lower() for word in head
            ]
            assert len(rows) >= await section.locator("tbody tr").count() > 0
            seen += 1
    assert seen >= len(MENU), "every page of the menu has a table with rows"


async def test_a_person_acts_by_keyboard_and_without_script(browser: Browser, controller: Running) -> None:
    await fill(controller)
    page = await browser.page(controller.url, java_script_enabled=False)
    await signed_in(page, controller.parts.tokens.admin)
    form = page.locator("form", has=page.get_by_text("Suspend", exact=True))
    await form.get_by_label("Reason").fill("a market holiday")
    await form.get_by_label("Reason").press("Enter")
    await page.get_by_text("suspended").first.wait_for()
    assert controller.parts.publisher.channel.suspended == "a market holiday"
    await page.get_by_role("link", name="Calls", exact=True).click()
    await page.get_by_role("link", name="More").click()
    await page.get_by_role("link", name="call-3", exact=True).click()
    await page.get_by_role("heading", name="Attempts").wait_for()
    assert await page.get_by_text("throttled").count() == 1


async def test_the_keyboard_alone_reaches_the_content_first_and_then_everything(
    browser: Browser, controller: Running
) -> None:
    page = await browser.page(controller.url)
    await page.goto("/")
    await page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert await focused.inner_text() == "Skip to content"
    for _, name in MENU:
        await page.keyboard.press("Tab")
        assert await focused.inner_text() == name
