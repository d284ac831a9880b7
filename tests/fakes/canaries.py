"""What rules say of a canary, for tests that vary one thing of it."""

from decimal import Decimal
from typing import Any

from controller.canaries.terms import Terms


def terms(**changes: Any) -> Terms:
    fields: dict[str, Any] = {
        "use_case": "support", "model": "new", "primary": "m", "percent": Decimal(5),
        "ladder": tuple(map(Decimal, (1, 5, 25, 50, 100))), "signal": "checks", "margin": 0.02, "planned_calls": 5_000,
        "max_calls": 20_000, "errors": 0.02, "invalid": 0.02, "cut_or_refused": 0.05, "latency": 1.5, "spend": 1.5,
    }  # fmt: skip
    return Terms(**fields | changes)
