"""The golden files of this dialect, and a price to see in them."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.record import Usage

GOLDEN = Path(__file__).parents[4] / "golden"


@pytest.fixture
def golden() -> Callable[[str, str], bytes]:
    """Kind and file name to bytes."""

    def read(kind: str, name: str) -> bytes:
        return (GOLDEN / kind / "openai" / name).read_bytes()

    return read


@pytest.fixture
def price_of() -> Callable[[Usage], Decimal | None]:
    return lambda usage: Decimal("0.0000001") * usage.output_tokens


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `request_case`, `stream_case`, … runs for every golden file of that kind."""
    for fixture, pattern in {
        "request_case": "requests/openai/*.json",
        "response_case": "responses/openai/*.json",
        "stream_case": "streams/openai/*.sse",
    }.items():
        if fixture in metafunc.fixturenames:
            # `CASE.WHAT.json` is what our code is expected to make of `CASE.json`.
            cases = sorted(path.name for path in GOLDEN.glob(pattern) if path.name.count(".") == 1)
            metafunc.parametrize(fixture, cases)
