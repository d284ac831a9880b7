"""The tests mirror the code: each module of the sidecar has a test file of its name."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

NOTHING_TO_RUN = frozenset(
    {
        "core/call.py",  # the words of a call: values
        "clock.py",  # the real clock, which tests never turn
        "ports.py",  # protocols
        "errors.py",  # the tree of errors: its classes are tested where they decide
        "__main__.py",  # started by tests/faults
        "app.py",  # started by tests/faults
    }
)
HELD_BY_TRANSCRIPTS = ("canonical", "dialects")
"""Held to `tests/golden` and to properties instead."""

MODULES = [
    path.relative_to(ROOT / "sidecar")
    for path in sorted((ROOT / "sidecar").rglob("*.py"))
    if path.name != "__init__.py"
    and str(path.relative_to(ROOT / "sidecar")) not in NOTHING_TO_RUN
    and path.parent.name != "__pycache__"
]


@pytest.mark.parametrize("module", [m for m in MODULES if m.parts[0] not in HELD_BY_TRANSCRIPTS], ids=str)
def test_each_module_of_the_sidecar_has_its_tests(module: Path) -> None:
    assert (ROOT / "tests" / "unit" / "sidecar" / module.parent / f"test_{module.name}").is_file()
