"""The golden files of this dialect, and a price to see in them."""

import json
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


def _is_whole(path: Path) -> bool:
    """Neither refused nor broken off: `test_golden.py` says so beside it."""
    read = {"requests": "canonical.json", "responses": "usage.json", "streams": "events.json"}[path.parents[1].name]
    understood = json.loads(path.with_name(f"{path.stem}.{read}").read_text())
    if isinstance(understood, list):
        return bool(understood[-1]["is"] == "Ended")
    return understood is None or "refused" not in understood


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `request_case`, `stream_case`, … runs for every golden file of that kind that is whole."""
    for fixture, pattern in {
        "request_case": "requests/openai/*.json",
        "response_case": "responses/openai/*.json",
        "stream_case": "streams/openai/*.sse",
    }.items():
        if fixture in metafunc.fixturenames:
            # `CASE.WHAT.json` is what our code is expected to make of `CASE.json`.
            paths = (path for path in GOLDEN.glob(pattern) if path.name.count(".") == 1)
            cases = sorted(path.name for path in paths if _is_whole(path))
            metafunc.parametrize(fixture, cases)
