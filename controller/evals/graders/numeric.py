"""`numeric`: a number in the answer is the target's. Pure."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from controller.evals.graders.answer import Answer, text_in
from schemas.eval_files import within
from schemas.rules.graders import NumericGrader

_NUMBER: Final = re.compile(
    r"(?<![\w.])[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?(?![\w])|(?<![\w.])[-+−]?\.\d+"
)


def grade(grader: NumericGrader, answer: Answer, target: Any) -> float | None:
    right = _number_of(within(target, grader.target_field))
    if right is None:
        return None
    said = text_in(answer.text, grader.field)
    numbers = [number for found in _NUMBER.findall(said or "") if (number := _number_of(found)) is not None]
    if not numbers or (grader.take == "only" and len(set(numbers)) > 1):
        return 0.0
    number = numbers[-1] if grader.take == "last" else numbers[0]
    allowed = max(grader.within, abs(right) * grader.within_percent / 100)
    return float(abs(number - right) <= allowed)


def _number_of(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        number = Decimal(str(value).replace(",", "").replace("−", "-").strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
