"""A row added to a file: everything that people wrote stays, character by character."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.prices.edit import CannotEdit, with_rows
from schemas.rules.model import Model
from schemas.rules.price import Price
from schemas.yaml_source import Path, parse_yaml

ROW = Price.model_validate({"from": date(2026, 11, 25), "input": Decimal(3), "output": Decimal("15.50")})
LONG = Price.model_validate(
    {
        "from": date(2026, 11, 25),
        "input": Decimal(2),
        "output": Decimal(12),
        "cache_read": Decimal("0.2"),
        "tiers": [{"above_input_tokens": 200_000, "input": Decimal(4), "output": Decimal(18)}],
        "service": {
            "flex": {"times": Decimal("0.5")},
            "batch": {
                "input": Decimal(1),
                "output": Decimal(6),
                "tiers": [{"above_input_tokens": 200_000, "input": Decimal(2), "output": Decimal(9)}],
            },
        },
    }
)
HEAD = "model: m  # ours\nvendor: v\ncontext_window: 1\nmax_output_tokens: 1\n"
NEW = "{from: 2026-11-25, input: 3, output: 15.5}"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (
            ("prices",),
            "served_by: [{provider: p, name: n}]\nprices:  # by hand\n  # the old one\n"
            "  - {from: 2026-01-01, input: 1, output: 1}\n",
            "served_by: [{provider: p, name: n}]\nprices:  # by hand\n  # the old one\n"
            f"  - {NEW}\n  - {{from: 2026-01-01, input: 1, output: 1}}\n",
        ),
        (
            ("prices",),
            "prices:\n- from: 2026-01-01\n  input: 1\n  output: 1\nserved_by:\n- provider: p\n  name: n\n",
            f"prices:\n- {NEW}\n- from: 2026-01-01\n  input: 1\n  output: 1\nserved_by:\n- provider: p\n  name: n\n",
        ),
        (
            ("prices",),
            "prices: [{from: 2026-01-01, input: 1, output: 1}]  # flat\nserved_by: [{provider: p, name: n}]\n",
            f"prices: [{NEW},\n         {{from: 2026-01-01, input: 1, output: 1}}]  # flat\n"
            "served_by: [{provider: p, name: n}]\n",
        ),
        (
            ("prices",),
            "prices: []\nserved_by: [{provider: p, name: n}]\n",
            f"prices: [{NEW}]\nserved_by: [{{provider: p, name: n}}]\n",
        ),
        (
            ("prices",),
            "served_by:\n  - {provider: p, name: n}  # last words",
            f"served_by:\n  - {{provider: p, name: n}}  # last words\nprices:\n  - {NEW}\n",
        ),
        (
            ("prices",),
            "served_by:\n  - {provider: p, name: n}\n\n# said at the end\n",
            f"served_by:\n  - {{provider: p, name: n}}\nprices:\n  - {NEW}\n\n# said at the end\n",
        ),
        (
            ("served_by", 0, "prices"),
            "served_by:\n  - {provider: p, name: n,}  # x\n",
            f"served_by:\n  - {{provider: p, name: n, prices: [\n      {NEW}],}}  # x\n",
        ),
        (
            ("served_by", 1, "prices"),
            "served_by:\n  - {provider: o, name: n}\n  - provider: p\n    name: n  # x\nprices: []\n",
            "served_by:\n  - {provider: o, name: n}\n  - provider: p\n    name: n  # x\n    prices:\n"
            f"      - {NEW}\nprices: []\n",
        ),
        (
            ("prices",),
            "served_by: [{provider: p, name: n}]\r\nprices:\r\n  - {from: 2026-01-01, input: 1, output: 1}\r\n",
            "served_by: [{provider: p, name: n}]\r\nprices:\r\n"
            f"  - {NEW}\r\n  - {{from: 2026-01-01, input: 1, output: 1}}\r\n",
        ),
    ],
)
def test_a_row_stands_before_the_others(path: Path, before: str, after: str) -> None:
    assert with_rows(HEAD + before, path, (ROW,)) == HEAD + after


def test_a_long_row_has_a_line_per_part() -> None:
    text = HEAD + "served_by: [{provider: p, name: n}]\nprices:\n  - {from: 2026-01-01, input: 1, output: 1}\n"
    assert (
        with_rows(text, ("prices",), (LONG,)).partition("prices:\n")[2]
        == """\
  - from: 2026-11-25
    input: 2
    output: 12
    cache_read: 0.2
    tiers:
      - {above_input_tokens: 200000, input: 4, output: 18}
    service:
      batch:
        input: 1
        output: 6
        tiers:
          - {above_input_tokens: 200000, input: 2, output: 9}
      flex: {times: 0.5}
  - {from: 2026-01-01, input: 1, output: 1}
"""
    )


BRACES = "{model: m, vendor: v, context_window: 1, max_output_tokens: 1, served_by: [{provider: p, name: n}]}"
SHARED = f"{HEAD}served_by: [{{provider: p, name: n, prices: &a [{NEW.replace('11-25', '01-01')}]}}]\nprices: *a\n"


def test_a_file_in_braces_gets_its_row() -> None:
    assert with_rows(BRACES, ("prices",), (ROW,)) == f"{BRACES[:-1]}, prices: [\n  {NEW}]}}"


@pytest.mark.parametrize("text", [SHARED, HEAD + "served_by: [{provider: p, name: n}]\nprices: [\n"])
def test_a_file_that_would_mean_something_else_is_left_to_people(text: str) -> None:
    """Rows behind an anchor belong to two lists."""
    with pytest.raises(CannotEdit):
        with_rows(text, ("prices",), (ROW,))


names = st.sampled_from(["per_request", "cache_read", "reasoning"])
amounts = st.decimals(0, 1000, places=9).map(abs)


@given(extra=st.dictionaries(names, amounts), amount=amounts, times=st.decimals("0.001", 99, places=4))
def test_any_price_is_read_as_it_was_written(extra: dict[str, Decimal], amount: Decimal, times: Decimal) -> None:
    said = {"from": date(2026, 11, 25), "input": amount, "output": 1, "service": {"flex": {"times": times}}, **extra}
    row = Price.model_validate(said)
    for rest in ("prices: []\n", "prices:\n  - {from: 2026-01-01, input: 1, output: 1}\n"):
        text = with_rows(HEAD + "served_by: [{provider: p, name: n}]\n" + rest, ("prices",), (row,))
        assert model_of(text).prices[0] == row


def model_of(text: str) -> Model:
    document, problems = parse_yaml("m.yaml", text)
    assert document is not None
    assert not problems
    return Model.model_validate(document.data)
