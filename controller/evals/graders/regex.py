"""`regex`: the answer matches. Pure; whoever calls it bounds its time, since some patterns never end."""

import re
from typing import Any

from controller.evals.graders.answer import Answer, targets_in, text_in
from schemas.eval_files import within
from schemas.rules.graders import RegexGrader


def grade(grader: RegexGrader, answer: Answer, target: Any) -> float:
    said = text_in(answer.text, grader.field)
    if said is None:
        return 0.0
    pattern = grader.pattern if grader.pattern is not None else str(within(target, grader.target_field))
    flags = re.IGNORECASE if grader.ignore_case else re.NOFLAG
    found = re.search(pattern, said, flags)
    if found is None or grader.group is None:
        return float(found is not None)
    matched = (found[grader.group] or "").strip()
    rights = [right.strip() for right in targets_in(target, grader.target_field)]
    if grader.ignore_case:
        matched, rights = matched.casefold(), [right.casefold() for right in rights]
    return float(matched in rights)
