"""A small rule set of two vendors, and calls that were recorded under it."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from controller.plan.recorded import RecordedCall
from controller.plan.side import Side
from schemas.load import Loaded, load
from schemas.record import AttemptRecord, CallFacts
from tests.system.rules import Door, files, use_case

TODAY = date(2026, 11, 24)
DOORS = [Door("red", "openai", "http://red.example"), Door("green", "anthropic", "http://green.example")]
FILE = "use-cases/support/use-case.yaml"


def rules(text: str | None = None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Green's output costs twice what red's does."""
    written = files(DOORS, {"support": text or use_case("red", "green")})
    green = "models/green.yaml"
    return {**written, green: written[green].replace("output: 15.00", "output: 30.00"), **(more or {})}


def loaded(text: str | None = None, more: Mapping[str, str] | None = None) -> Loaded:
    made = load(rules(text, more), today=TODAY, revision="r")
    assert made.bundle is not None, made.problems
    return made


def side(text: str | None = None, **options: Any) -> Side:
    bundle = loaded(text).bundle
    assert bundle is not None
    return Side(bundle, TODAY.isoformat(), **options)


def call(number: int, **more: Any) -> RecordedCall:
    """Call `number`, one a minute from the 1st of November on: 1000 tokens in and 100 out, 0.0045 dollars."""
    day, minute = divmod(number, 24 * 60)
    attempt = AttemptRecord(model="red", provider="red-maker", reason="primary", outcome="ok", seconds=1.0)
    known: dict[str, Any] = {
        "id": f"call-{number}", "at": f"2026-11-{1 + day:02}T{minute // 60:02}:{minute % 60:02}:00.000Z",
        "use_case": "support", "outcome": "ok", "model": "red", "provider": "red-maker", "reason": "primary",
        "input_tokens": 1000, "output_tokens": 100, "attempts": (attempt,), "facts": CallFacts(1000, 200),
    }  # fmt: skip
    return RecordedCall(**(known | more))
