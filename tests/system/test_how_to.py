"""Every page of `examples/how-to`, done as it says."""

from pathlib import Path

import pytest

from tests.fakes.processes import REPOSITORY
from tests.system.walkthrough import Walk

PAGES = sorted((REPOSITORY / "examples" / "how-to").glob("*.md"))


def test_the_list_names_every_page() -> None:
    listed = (REPOSITORY / "examples" / "how-to" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"({page.name})" not in listed] == ["README.md"]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "README.md"], ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    walk = Walk(tmp_path)
    try:
        assert walk.along(page.read_text(encoding="utf-8")) > 0
    finally:
        walk.close()
