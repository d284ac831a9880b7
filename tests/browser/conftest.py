"""A Chromium for each test."""

import shutil
from collections.abc import AsyncIterator

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed; `make browser` brings and runs it")
from playwright.async_api import async_playwright

from tests.browser.browsing import Browser

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    assert path is not None, "no chromium on PATH: apt-get install chromium"
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=path, args=[*FLAGS])
        yield Browser(chromium, set(), [])
        await chromium.close()
