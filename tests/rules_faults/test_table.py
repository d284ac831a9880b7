"""The table of the control plane's faults: each has its row, and each row a test that exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS / "system" / "README.md"
NUMBERS = (*range(1, 37), 53, 54)
ROWS = {int(row[1]): row[2] for row in re.finditer(r"^\| (\d+) \|(.+)\|$", PAGE.read_text("utf-8"), re.MULTILINE)}
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_every_fault_has_its_row() -> None:
    assert tuple(ROWS) == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_a_row_names_tests_that_exist(number: int) -> None:
    named = NAMED.findall(ROWS[number])
    assert named
    assert [f"{file}::{name}" for file, name in named if name not in names_of(file)] == []


@cache
def names_of(file: str) -> frozenset[str]:
    path = TESTS / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in nodes if node.name.startswith("test_"))
