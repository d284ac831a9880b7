"""Each file of `gallery/` is a bad rule file, laid over the good rules of `gallery/base`, with its findings at its end.

A case may hold several files, each from a line `# file: <path>` on; places count from that line, which is empty to a
reader of JSON lines. After a deliberate
change of wording: UPDATE_GOLDEN=1 pytest tests/golden/rules, and read the diff.
"""

import os
import re
from datetime import date
from pathlib import Path

import pytest

from schemas.__main__ import read_folder
from schemas.drill_files import drill_problems
from schemas.eval_files import eval_problems
from schemas.evidence_files import load_evidence
from schemas.load import load
from schemas.problems import has_errors

GALLERY = Path(__file__).parent / "gallery"
BASE = read_folder(GALLERY / "base")
TODAY = date(2026, 11, 23)
CASES = sorted(GALLERY.glob("*.yaml"))
FINDING = "# => "


def parts_of(text: str) -> dict[str, str]:
    parts = re.split(r"^(?=# file: )", text, flags=re.MULTILINE)[1:]
    files = {part.partition("\n")[0].removeprefix("# file: "): part for part in parts}
    return {file: part if file.endswith(".yaml") else "\n" + part.partition("\n")[2] for file, part in files.items()}


def test_the_base_is_fine() -> None:
    assert load(BASE, today=TODAY, revision="base").problems == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_every_finding_stands_at_the_end_of_its_file(case: Path) -> None:
    text, mark, _ = case.read_text().partition(f"\n{FINDING}")
    text = f"{text}\n" if mark else text
    files = BASE | parts_of(text)
    loaded = load(files, today=TODAY, revision="gallery")
    problems = (
        *loaded.problems, *eval_problems(files, loaded.rule_set), *load_evidence(files).problems,
        *drill_problems(files, loaded.rule_set, TODAY),
    )  # fmt: skip
    found = "".join(f"{FINDING}{problem}\n" for problem in problems)
    assert found, "a file of the gallery has a problem"
    if os.environ.get("UPDATE_GOLDEN"):
        case.write_text(text + found)
    assert case.read_text() == text + found
    assert (loaded.bundle is None) is has_errors(loaded.problems)


def test_the_gallery_is_large() -> None:
    assert len(CASES) >= 120
