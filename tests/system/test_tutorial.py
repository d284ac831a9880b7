"""The tutorial, from an empty folder to a merged change and back, as it stands on its page."""

from pathlib import Path

from tests.fakes.processes import REPOSITORY
from tests.system.walkthrough import Walk

PAGE = REPOSITORY / "examples" / "tutorial" / "README.md"


def test_every_command_of_the_tutorial_does_what_the_page_says(tmp_path: Path) -> None:
    walk = Walk(tmp_path)
    try:
        assert walk.along(PAGE.read_text(encoding="utf-8")) == PAGE.read_text(encoding="utf-8").count("\n```sh")
    finally:
        walk.close()
