"""The tables that say which test shows what: every test that they name exists."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("page", ["faults/README.md", "system/README.md", "../schemas/docs/security.md"])
def test_every_test_that_a_table_names_exists(page: str) -> None:
    named = NAMED.findall((TESTS / page).read_text(encoding="utf-8"))
    missing = [f"{file}::{name}" for file, name in named if name not in _tests_in(TESTS / file)]
    assert not missing
    assert named or page == "system/README.md"


def _tests_in(file: Path) -> frozenset[str]:
    if not file.is_file():
        return frozenset()
    body = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
