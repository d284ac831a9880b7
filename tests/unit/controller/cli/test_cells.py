import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cli.cells import STARTS_A_FORMULA, csv_text, safe


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("support-bot", "support-bot"),
        ("=HYPERLINK(\"http://evil.example.com\")", "'=HYPERLINK(\"http://evil.example.com\")"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("＝1", "'＝1"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_text_that_a_spreadsheet_would_run_is_marked_as_text(text: str, cell: str) -> None:
    assert safe(text) == cell


@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))), min_size=2)))
def test_every_cell_is_read_back_and_none_begins_a_formula(rows: list[list[str]]) -> None:
    read = list(csv.reader(io.StringIO(csv_text(rows), newline="")))
    assert [[cell.removeprefix("'") for cell in row] for row in read] == [
        [cell.removeprefix("'") for cell in row] for row in rows
    ]
    assert not any(cell.startswith(STARTS_A_FORMULA) for row in read for cell in row)


def test_numbers_and_nothing_are_written_as_they_are() -> None:
    assert csv_text([[1, None, 0.5]]) == "1,,0.5\r\n"
