"""Each folder `<what>.bad` is a rules repository with its findings beside it, in `expected.txt`.

A new case is a folder. After a deliberate change of wording: UPDATE_GOLDEN=1 pytest tests/golden/rules, and
read the diff.
"""

import os
from datetime import date
from pathlib import Path

import pytest

from schemas.__main__ import read_folder
from schemas.load import load
from schemas.problems import has_errors

HERE = Path(__file__).parent
TODAY = date(2026, 11, 23)


@pytest.mark.parametrize("folder", sorted(HERE.glob("*.bad")), ids=lambda folder: folder.stem)
def test_every_finding_has_its_place_and_its_words(folder: Path) -> None:
    loaded = load(read_folder(folder), today=TODAY, revision="golden")
    found = "".join(f"{problem}\n" for problem in loaded.problems)
    expected = folder / "expected.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(found)
    assert found == expected.read_text()
    assert (loaded.bundle is None) is has_errors(loaded.problems)
