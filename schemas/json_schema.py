"""The JSON Schemas of all that we read and exchange, made from the models; `schemas/json/` holds the copy."""

import ast
import inspect
import json
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from schemas.bundle import Bundle
from schemas.kinds import RULE_FILES
from schemas.record import CallRecord
from schemas.rules.eval_sample import CalibrationSample, EvalSample
from schemas.rules.evidence import Evidence
from schemas.rules.graders import Graders
from schemas.spend import FleetSpend
from schemas.status import SidecarStatus

DIALECT = "https://json-schema.org/draft/2020-12/schema"

EVAL_FILES: Mapping[str, type[BaseModel]] = {
    "graders": Graders,
    "eval-sample": EvalSample,
    "calibration-sample": CalibrationSample,
}
"""Files that people write for evals: they decide nothing by themselves, and no controller reads them."""

WRITTEN_FILES: Mapping[str, type[BaseModel]] = {**RULE_FILES, **EVAL_FILES, "evidence": Evidence}
"""With what our own tools write for people to review."""

EXCHANGED: Mapping[str, type[msgspec.Struct]] = {
    "bundle": Bundle,
    "record": CallRecord,
    "spend": FleetSpend,
    "status": SidecarStatus,
}
"""Documents that programs exchange."""


@cache
def rule_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of one kind of rule file, as `check` and editors use it."""
    return {"$schema": DIALECT, **WRITTEN_FILES[kind].model_json_schema(schema_generator=_Readable)}


def schema_files() -> dict[str, str]:
    """File name to text of everything that stands in `schemas/json/`."""
    schemas = {kind: rule_schema(kind) for kind in WRITTEN_FILES}
    schemas |= {name: {"$schema": DIALECT, **msgspec.json.schema(struct)} for name, struct in EXCHANGED.items()}
    return {f"{name}.json": json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}


def _said_of_fields(model: type[BaseModel]) -> dict[str, str]:
    """Field to the string that stands under it in its class. Read here, and not by pydantic's own
    `use_attribute_docstrings`, which takes a third of the time that importing the models does."""
    said: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if issubclass(cls, BaseModel) and cls.__module__.startswith("schemas.") and "[" not in cls.__name__:
            [body] = ast.parse(inspect.getsource(cls)).body
            assert isinstance(body, ast.ClassDef)
            for field, text in pairwise(body.body):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                        said[field.target.id] = inspect.cleandoc(str(text.value.value))
                    else:
                        said.pop(field.target.id, None)
    return said


class _Readable(GenerateJsonSchema):
    """Without the titles that repeat a key, and without null: what is not said is left out, not written as null."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        described = super().model_schema(schema)
        said, fields = _said_of_fields(schema["cls"]), schema["cls"].model_fields
        for name, text in said.items():
            if name in fields and fields[name].description is None:
                described["properties"][fields[name].alias or name]["description"] = text
        return described

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """As plain forms of which one must fit: what is wrong with a value is told of the form that it names."""
        described = super().tagged_union_schema(schema)
        described.pop("discriminator", None)
        return {"anyOf": described.pop("oneOf"), **described}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        if described.get("default", ...) is None or isinstance(described.get("default"), dict):
            described.pop("default")
        return described
