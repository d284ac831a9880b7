"""The graders that need nothing but the answer and the sample, by kind."""

from collections.abc import Mapping
from typing import Any

from controller.evals.graders import contains, exact, json_schema, numeric, regex, tool_call
from controller.evals.graders.answer import Answer
from controller.evals.graders.bounded import TookTooLong, bounded
from schemas.rules.graders import (
    ContainsGrader,
    ExactGrader,
    JsonSchemaGrader,
    NumericGrader,
    RegexGrader,
    ToolCallGrader,
)

PlainGrader = ExactGrader | ContainsGrader | RegexGrader | NumericGrader | JsonSchemaGrader | ToolCallGrader


def grade(grader: PlainGrader, answer: Answer, target: Any, files: Mapping[str, str]) -> float | None:
    """None where it cannot be told in time."""
    try:
        with bounded():
            match grader:
                case ExactGrader():
                    return exact.grade(grader, answer, target)
                case ContainsGrader():
                    return contains.grade(grader, answer, target)
                case RegexGrader():
                    return regex.grade(grader, answer, target)
                case NumericGrader():
                    return numeric.grade(grader, answer, target)
                case JsonSchemaGrader():
                    return json_schema.grade(grader, answer, files[grader.schema_file])
                case ToolCallGrader():
                    return tool_call.grade(grader, answer, target)
    except (TookTooLong, RecursionError):
        return None
