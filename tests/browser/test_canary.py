"""A canary of real processes on its page: what the plot draws is what the ledger says, and it goes on by itself."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.browsing import Browser, looked_at
from tests.fakes import wire
from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.load import Kind, Load
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import Door, files, use_case

pytestmark = pytest.mark.xdist_group("canary")

PATH = "/use-cases/support"
TERMS = "canary: {model: new, percent: 50, ladder: [50, 100], margin: 0.001, planned_calls: 20000}\n"
"""Wide of a verdict with the few hundred calls of this test."""
LIVE_MILLISECONDS = 10_000
"""How often the page asks again."""


class System:
    def __init__(self, controller: ControllerProcess, load: Load) -> None:
        self.controller = controller
        self.load = load

    @property
    def token(self) -> str:
        return (self.controller.state / "admin.token").read_text().strip()

    def counted(self) -> list[str]:
        """The cells of the newest look; none before there is one."""
        page = wire.get(f"{self.controller.url}{PATH}").body.decode()
        section = page.partition('data-live="canary"')[2].partition("</section>")[0]
        return re.findall(r"<td[^>]*>([^<]*)</td>", section)[:8]


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory,
    start_controller: StartController,
    start_sidecar: StartSidecar,
    start_simulator: StartSimulator,
) -> Iterator[System]:
    makers = {name: start_simulator(name) for name in ("old", "new")}
    makers["new"].fault({"refusal": True}, times=3)
    rules = files(
        [Door(name, "openai", maker.url) for name, maker in makers.items()],
        {"support": use_case("old", more=f"quality_bar: {{checks: [complete, not_refused]}}\n{TERMS}")},
    )
    repo = RulesRepo(tmp_path_factory.mktemp("rules"))
    repo.commit(rules)
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    sidecar = start_sidecar(controller.url, options=["--controller-token", str(controller.token_file)])
    with Load([lambda: sidecar.url], workers=4, ways=[Kind("openai", False, "support")]) as load:
        yield System(controller, load)


async def test_its_plot_draws_what_its_table_says_and_nothing_that_is_no_number(
    browser: Browser, system: System
) -> None:
    eventually(lambda: system.counted() or None, 60)
    page = await browser.page(system.controller.url)
    await page.goto(PATH)
    svg = await page.locator("section[data-live=canary] svg").evaluate("it => it.outerHTML")
    rows = await rows_of(page)
    for low, middle, high in rows:
        assert -100 <= low <= middle <= high <= 100
    corners = [corner.split(",") for corner in re.findall(r'class="band" points="([^"]*)"', svg)[0].split()]
    assert len(corners) == 2 * len(rows)
    heights = [float(y) for _, y in corners]
    uppers, lowers = heights[: len(rows)], heights[len(rows) :][::-1]
    middles = [float(y) for y in re.findall(r"[ML][\d.]+,([\d.]+)", re.findall(r'class="line l0" d="([^"]*)"', svg)[0])]
    assert all(up <= mid <= down for up, mid, down in zip(uppers, middles, lowers, strict=True))
    # What is drawn higher is more: the picture's rows stand in the order of the table's figures.
    drawn = [*zip(lowers, middles, uppers, strict=True)][::-1]
    for (low, middle, high), (at_low, at_middle, at_high) in zip(rows, drawn, strict=True):
        share = (middle - low) / (high - low)
        assert (at_low - at_middle) / (at_low - at_high) == pytest.approx(share, abs=0.05)
    for picture in await page.locator("svg").all():
        said = await picture.evaluate("it => it.outerHTML")
        assert not re.search(r"nan|infinity|undefined|null|=\"-\d+(\.\d+)?\" (width|height)", said, re.IGNORECASE)


async def test_it_goes_on_without_the_page_being_asked_for_again(browser: Browser, system: System) -> None:
    eventually(lambda: system.counted() or None, 60)
    page = await browser.page(system.controller.url)
    await page.clock.install()
    await page.goto(PATH)
    await page.evaluate("window.isTheSame = true")
    first = page.locator("section[data-live=canary] tbody tr").first
    before = await first.inner_text()
    eventually(lambda: before.split("\t")[1] != system.counted()[1] or None, 60)
    await page.clock.fast_forward(LIVE_MILLISECONDS)
    await expect(first).not_to_have_text(before)
    assert await page.evaluate("window.isTheSame")
    plain = await browser.page(system.controller.url, java_script_enabled=False)
    await plain.goto(PATH)
    assert await plain.locator("section[data-live=canary] svg polygon.band").count() == 1


async def test_it_is_sound_in_every_look(browser: Browser, system: System) -> None:
    await looked_at(browser, system.controller.url, system.token, "canary", [PATH])


async def rows_of(page: Page) -> list[tuple[float, float, float]]:
    """Low, middle and high of each look, the newest first."""
    rows: list[Any] = []
    for row in await page.locator("section[data-live=canary] tbody tr").all():
        *_, middle, low, high = await row.locator("td").all_inner_texts()
        rows.append((float(low), float(middle), float(high)))
    return rows
