"""Pages as a person reads them: in light, in dark and on a phone, with a tool that knows what others cannot read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Page, Request

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
LOOKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("light", {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}}),
    ("dark", {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}}),
    ("phone", {"color_scheme": "light", "viewport": {"width": 390, "height": 844}}),
)


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


async def signed_in(page: Page, token: str) -> None:
    await page.goto("/login?next=/rollout")
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/rollout")


async def faults_of(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """What axe finds, by all of its rules or by some."""
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("rules => axe.run(rules.length ? {runOnly: rules} : {})", list(rules))
    return [f"{fault['id']}: {node['html'][:160]}" for fault in found["violations"] for node in fault["nodes"]]


async def looked_at(browser: Browser, url: str, token: str, name: str, paths: Sequence[str]) -> None:
    """Every page in every look: nothing foreign is asked, axe finds nothing, nothing is wider than the window."""
    shots = os.environ.get("POINTSMAN_SCREENSHOTS")
    for look, options in LOOKS:
        page = await browser.page(url, **options)
        await signed_in(page, token)
        for path in paths:
            await page.goto(path)
            # In the dark a page differs by its colours alone.
            faults = await faults_of(page, ["color-contrast"] if look == "dark" else ())
            assert (name, look, path, faults) == (name, look, path, [])
            wide = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert (look, path, max(wide, 0)) == (look, path, 0)
            if shots:
                file = f"{name}-{look}-{path.strip('/').replace('/', '-') or 'overview'}.png"
                await page.screenshot(path=Path(shots) / file, full_page=True)
        await page.context.close()
    assert browser.asked == {url}
    assert browser.complaints == []
