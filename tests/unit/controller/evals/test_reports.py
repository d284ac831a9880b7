"""A comparison as people and programs read it; after reading the difference, rewrite what lies in `tests/golden/evals`
with `UPDATE_GOLDEN=1`.
"""

import json
import os
import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from controller.evals.arms import gather
from controller.evals.compare import Comparison, compare
from controller.evals.decision import Decision
from controller.evals.report_html import as_html
from controller.evals.report_json import as_json
from controller.evals.report_markdown import as_markdown, as_text
from controller.evals.rows import Row

from .results import FEW, arms, changed, compared, two_models

GOLDEN = Path(__file__).parents[3] / "golden" / "evals"
UPDATE = "UPDATE_GOLDEN" in os.environ


def full() -> Comparison:
    """Every section of the report has something to say."""

    def shape(i: int, row: Row) -> dict[str, Any]:
        return {
            "slice": ("billing", "legal", "returns")[i % 3],
            "cluster": f"doc-{i // 5}",
            "latency_ms": 300.0 + 13 * i % 900,
            "cost_usd": (row.cost_usd or Decimal(0)) * (1 + i % 4),
            "scores": {"check": row.success},
            "set_hash": "5eed",
            "ts": "2026-11-01T10:00:00Z",
        }

    old, new = two_models(240, 25, 20, 15, new_usd="0.004")
    old, new = changed(old, shape), changed(new, shape)
    other = gather("third", [replace(row, model="third", success=float(i % 2)) for i, row in enumerate(old)])
    return compare(*arms((old, new)), Decision(margin=0.05), others=[other], checker="check", resamples=FEW)


def rounded(value: Any) -> Any:
    """The last digits of a double differ from machine to machine."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.8g}") if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("comparison.md", as_markdown),
        ("comparison.txt", lambda comparison: as_text(comparison) + "\n"),
        ("comparison.json", lambda comparison: json.dumps(rounded(as_json(comparison)), indent=1) + "\n"),
    ],
)
def test_report(name: str, written: Any) -> None:
    found, path = written(full()), GOLDEN / name
    if UPDATE:
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_json_keeps_what_scripts_rely_on() -> None:
    found = as_json(full())
    assert list(found)[:11] == [
        "verdict",
        "action",
        "n",
        "diff",
        "interval",
        "m_star",
        "needed",
        "mcnemar_p",
        "cost_ratio",
        "cost_per_success",
        "lints",
    ]
    json.dumps(found, allow_nan=False)


class Page(HTMLParser):
    """Tags must close in order; what a page would load is collected."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href", "data", "srcset")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_one_page_that_loads_nothing_and_runs_nothing() -> None:
    page, text = Page(), as_html(full())
    page.feed(text)
    assert page.open == []
    assert page.loads == []
    assert not {"script", "link", "iframe", "img", "object"} & set(page.seen)
    assert page.seen.count("svg") == 3
    assert not re.search(r"https?:|url\(|@import|NaN|\binf\b|nan\b", text)


def test_names_from_files_stay_text() -> None:
    evil = '<script>alert("x")</script>|@team\x1b[2J`'
    old, new = two_models(100, 5, 6, 9, slice=evil)
    found = compare(
        gather(evil, [replace(row, model=evil) for row in old]), gather("new", new), Decision(), resamples=FEW
    )
    assert "<script" not in as_html(found)
    markdown = as_markdown(found)
    assert "<script" not in markdown
    assert "@team" not in markdown
    assert "\x1b" not in as_text(found) + markdown
    tables = [re.findall(r"(?<!\\)\|", line) for line in markdown.splitlines() if line.startswith("| ")]
    assert {len(bars) for bars in tables} == {4, 5, 8}


@pytest.mark.parametrize(
    "counts", [(0, 0, 0, 0), (1, 0, 0, 0), (0, 0, 0, 150), (150, 0, 0, 0), (0, 150, 0, 0), (0, 0, 150, 0)]
)
@pytest.mark.parametrize("usd", ["0", "0.000001", "1200"])
def test_every_form_can_be_written_of_extreme_results(counts: tuple[int, int, int, int], usd: str) -> None:
    found = compared(two_models(*counts, new_usd=usd, slice="s"))
    for written in (as_text(found), as_markdown(found), as_html(found), json.dumps(as_json(found), allow_nan=False)):
        assert "nan" not in written.replace("tenant", "")
    page = Page()
    page.feed(as_html(found))
    assert page.open == []
