"""`json_schema`: the answer is JSON of a schema. Pure: a reference that leads outside the schema leads nowhere."""

import json
from functools import lru_cache

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from controller.evals.graders.answer import Answer, json_in
from schemas.eval_files import within
from schemas.rules.graders import JsonSchemaGrader


def grade(grader: JsonSchemaGrader, answer: Answer, schema: str) -> float | None:
    try:
        value = json_in(answer.text)
    except ValueError:
        return 0.0
    try:
        return float(_validator(schema).is_valid(within(value, grader.field)))
    except Unresolvable:
        return None


@lru_cache(maxsize=16)
def _validator(schema: str) -> Draft202012Validator:
    # A registry of its own: the default one would fetch what a reference names.
    return Draft202012Validator(json.loads(schema), registry=Registry())
