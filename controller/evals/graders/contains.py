"""`contains`: the target stands in the answer. Pure."""

import re
import unicodedata
from typing import Any

from controller.evals.graders.answer import Answer, targets_in, text_in
from schemas.rules.graders import ContainsGrader


def grade(grader: ContainsGrader, answer: Answer, target: Any) -> float:
    said = text_in(answer.text, grader.field)
    if said is None:
        return 0.0
    return float(any(_holds(grader, said, right) for right in targets_in(target, grader.target_field)))


def _holds(grader: ContainsGrader, said: str, right: str) -> bool:
    said, right = (unicodedata.normalize("NFC", text) for text in (said, right.strip()))
    if grader.ignore_case:
        said, right = said.casefold(), right.casefold()
    if not grader.whole_words:
        return right in said
    return re.search(rf"(?<!\w){re.escape(right)}(?!\w)", said) is not None
