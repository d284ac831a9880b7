"""What several graders make of one answer. Pure."""

import math
from collections.abc import Mapping

from schemas.rules.graders import Graders

PASSES = 1.0


def success_of(graders: Graders, values: Mapping[str, float | None]) -> float | None:
    """The primary metric, from the graders' values by id; None where one that counts could not tell."""
    gates = [values[grader.id] for grader in graders.graders if grader.gate]
    if any(value is not None and value < PASSES for value in gates):
        return 0.0
    others = [values[grader.id] for grader in graders.graders if not grader.gate]
    if None in gates:
        return None
    known = [value for value in others if value is not None]
    if graders.combine == "all" and known and min(known) == 0.0:
        return 0.0
    if graders.combine == "any" and known and max(known) >= PASSES:
        return 1.0
    if len(known) < len(others):
        return None
    if not known:
        return 1.0
    match graders.combine:
        case "all":
            return min(known)
        case "any":
            return max(known)
        case "mean":
            return math.fsum(known) / len(known)
