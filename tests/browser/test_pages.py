"""The controller's pages in a real Chromium: read and used as a person does, in light, in dark and on a phone."""

import csv
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed; `make browser` brings and runs it")
from playwright.async_api import ConsoleMessage, Page, Request, async_playwright

from controller.app import Running, running
from controller.dashboard.view import MENU
from controller.settings import ServeSettings
from schemas.record import AttemptRecord, CallRecord, SkippedTarget, Usage
from schemas.scope import WHOLE
from schemas.status import SidecarStatus
from tests.fakes.rules_repo import RulesRepo

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip
LOOKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("light", {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}}),
    ("dark", {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}}),
    ("phone", {"color_scheme": "light", "viewport": {"width": 390, "height": 844}}),
)
PATHS = (*(path for path, _ in MENU), "/use-cases/support", "/calls/call-3", "/login")
CALLS = 130


@dataclass
class Browser:
    """Opens pages, and notes where they send requests to and what their console complains of."""

    chromium: Any
    asked: set[str]
    complaints: list[str]

    async def page(self, url: str, **look: Any) -> Page:
        context = await self.chromium.new_context(base_url=url, **look)
        page: Page = await context.new_page()
        page.on("request", self._note)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def _note(self, request: Request) -> None:
        self.asked.add(f"{urlsplit(request.url).scheme}://{urlsplit(request.url).netloc}")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    assert path is not None, "no chromium on PATH: apt-get install chromium"
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=path, args=[*FLAGS])
        yield Browser(chromium, set(), [])
        await chromium.close()


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[Running]:
    repo = RulesRepo(tmp_path / "rules")
    repo.commit()
    settings = ServeSettings(repo=str(repo.path), state=tmp_path / "state", listen_port=0)
    async with running(settings) as controller:
        yield controller


async def signed_in(page: Page, controller: Running) -> None:
    await page.goto("/login?next=/rollout")
    await page.get_by_label("Token").fill(controller.parts.tokens.admin)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/rollout")


async def faults_of(page: Page) -> list[str]:
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("axe.run()")
    return [f"{fault['id']}: {node['html'][:160]}" for fault in found["violations"] for node in fault["nodes"]]


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
        status = SidecarStatus(id=f"agent-{number}.support.svc.cluster.local", version="1", state="READY", error=error)
        parts.roster.note_status(status, WHOLE)


async def looked_at(browser: Browser, controller: Running, name: str, paths: Sequence[str] = PATHS) -> None:
    """Every page in every look: nothing foreign is asked, axe finds nothing, nothing is wider than the window."""
    shots = os.environ.get("POINTSMAN_SCREENSHOTS")
    for look, options in LOOKS:
        page = await browser.page(controller.url, **options)
        await signed_in(page, controller)
        for path in paths:
            await page.goto(path)
            assert (name, look, path, await faults_of(page)) == (name, look, path, [])
            wide = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert (look, path, max(wide, 0)) == (look, path, 0)
            if shots:
                file = f"{name}-{look}-{path.strip('/').replace('/', '-') or 'overview'}.png"
                await page.screenshot(path=Path(shots) / file, full_page=True)
        await page.context.close()
    assert browser.asked == {controller.url}
    assert browser.complaints == []


async def test_every_page_is_sound_without_data_with_data_and_with_the_ledger_away(
    browser: Browser, controller: Running
) -> None:
    await controller.parts.publisher.newer_than("")
    await looked_at(browser, controller, "empty", [path for path in PATHS if path != "/calls/call-3"])
    await fill(controller)
    await looked_at(browser, controller, "full")
    controller.parts.ledger.close()
    await looked_at(browser, controller, "away")


async def test_every_table_is_there_as_csv(browser: Browser, controller: Running) -> None:
    await fill(controller)
    page = await browser.page(controller.url)
    await signed_in(page, controller)
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
    await signed_in(page, controller)
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
