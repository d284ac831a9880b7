"""`exact`: the answer is the target. Pure."""

import unicodedata
from typing import Any, Final

from controller.evals.graders.answer import Answer, targets_in, text_in
from schemas.rules.graders import ExactGrader

MARKS: Final = frozenset(".,;:!?…。、，！？'\"`*_")


def grade(grader: ExactGrader, answer: Answer, target: Any) -> float:
    said = text_in(answer.text, grader.field)
    if said is None:
        return 0.0
    return float(any(_bare(grader, said) == _bare(grader, right) for right in targets_in(target, grader.target_field)))


def _bare(grader: ExactGrader, text: str) -> str:
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if grader.ignore_punctuation:
        start, end = 0, len(text)
        while start < end and _is_mark(text[start]):
            start += 1
        while end > start and _is_mark(text[end - 1]):
            end -= 1
        text = text[start:end] or text
    return text.casefold() if grader.ignore_case else text


def _is_mark(character: str) -> bool:
    """Sentence marks, quotes, brackets and Markdown's emphasis: -5 is not 5, and C# is not C."""
    return character in MARKS or character.isspace() or unicodedata.category(character) in ("Ps", "Pe", "Pi", "Pf")
