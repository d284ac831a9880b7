"""Models and their shares as a use case or a rule says them."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

REVIEW_AFTER: Final = timedelta(days=91)
"""A quarter: what was converted is looked at again."""
IN_ORDER: Final = "said otherwise: one model at several providers is asked in order of preference, not in turn"


def as_chain(arms: Sequence[tuple[str, Decimal]], after: Sequence[str]) -> dict[str, Any]:
    """`primary`, `fallbacks` and `split` of models with their weights, the first one first; `after` stand behind."""
    (primary, _), *others = arms
    total = sum((weight for _, weight in arms), Decimal())
    chain = list(dict.fromkeys(model for model in (*(model for model, _ in others), *after) if model != primary))
    split = [
        {"model": model, "percent": percent}
        for model, weight in others
        if weight and (percent := round(100 * weight / total, 1))
    ]
    return {"primary": primary} | ({"fallbacks": chain} if chain else {}) | ({"split": split} if split else {})
