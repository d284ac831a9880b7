"""`tool_call`: the answer calls the tools that the target names. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from controller.evals.graders.answer import Answer, ToolCall
from schemas.rules.graders import ToolCallGrader


def grade(grader: ToolCallGrader, answer: Answer, target: Any) -> float:
    wanted: Sequence[Mapping[str, Any]] = target.get("tool_calls", []) if isinstance(target, Mapping) else target
    if len(answer.tool_calls) > len(wanted) and not grader.allow_more:
        return 0.0
    left = list(answer.tool_calls)
    # The calls that say most first: a call without arguments fits many, and must not take another's.
    ordered = wanted if grader.in_order else sorted(wanted, key=lambda want: -len(want.get("arguments", {})))
    for want in ordered:
        place = next((place for place, call in enumerate(left) if _is(grader, call, want)), None)
        if place is None:
            return 0.0
        left = left[place + 1 :] if grader.in_order else left[:place] + left[place + 1 :]
    return 1.0


def _is(grader: ToolCallGrader, call: ToolCall, want: Mapping[str, Any]) -> bool:
    if call.name != want.get("name"):
        return False
    if grader.match == "name":
        return True
    arguments: Mapping[str, Any] = want.get("arguments", {})
    return call.arguments is not None and all(
        name in call.arguments and _alike(call.arguments[name], value) for name, value in arguments.items()
    )


def _alike(said: Any, right: Any) -> bool:
    """As JSON has it: 1 is 1.0, and true is no 1."""
    if isinstance(said, bool) or isinstance(right, bool):
        return said is right
    if isinstance(said, Mapping) and isinstance(right, Mapping):
        return said.keys() == right.keys() and all(_alike(said[key], right[key]) for key in right)
    if isinstance(said, list) and isinstance(right, list):
        return len(said) == len(right) and all(map(_alike, said, right))
    return bool(said == right) or (isinstance(said, float) and isinstance(right, float | int) and said == float(right))
