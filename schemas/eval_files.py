"""A use case's `eval` folder to what can be run, or to all problems at once. Pure: files come in, nothing is executed.

`check` and `eval run` read these files. Controllers do not: no eval set can hold up the rules.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

import jsonschema
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from schemas.checks.secrets import find_secrets
from schemas.eval_set import Line, parse_calibration, parse_set
from schemas.problems import Problem, did_you_mean, has_errors
from schemas.rules.eval_sample import EvalSample
from schemas.rules.graders import (
    ContainsGrader,
    ExactGrader,
    Grader,
    Graders,
    JsonSchemaGrader,
    JudgeGrader,
    NumericGrader,
    PythonGrader,
    RegexGrader,
    ToolCallGrader,
)
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.validate import shown, validate_document
from schemas.yaml_source import Document, Path, parse_yaml

SET_FILE: Final = "set.jsonl"
GRADERS_FILE: Final = "graders.yaml"
NAMED: Final = 3
"""How many samples a message names."""

OneGrader = TypeVar("OneGrader", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class EvalSet:
    """What `eval run` asks and how it judges."""

    use_case: str
    lines: tuple[Line[EvalSample], ...]
    graders: Graders
    files: Mapping[str, str]
    """Files that graders name, by the names they use."""
    hash: str
    """Equal samples and graders, equal hash; the order of samples does not count."""


def eval_folders(files: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
    """By use case, what lies in its `eval` folder, by path below it."""
    folders: dict[str, dict[str, str]] = {}
    for file, text in files.items():
        match PurePosixPath(file).parts:
            case ("use-cases", use_case, "eval", *below) if below:
                folders.setdefault(use_case, {})["/".join(below)] = text
    return folders


def load_eval(
    use_case: str, below: Mapping[str, str], rules: RuleSet | None
) -> tuple[EvalSet | None, tuple[Problem, ...]]:
    """The set of one use case; None when there is an error among its problems.

    Args:
        below: path below the `eval` folder to text.
        rules: names the models that may judge; None where the rules cannot be read.
    """
    folder = f"use-cases/{use_case}/eval"
    problems: list[Problem] = []
    for name in (SET_FILE, GRADERS_FILE):
        if name in below:
            problems += find_secrets(f"{folder}/{name}", below[name])
        else:
            near = did_you_mean(name, below) or "an eval set is set.jsonl with graders.yaml beside it"
            problems.append(
                Problem(f"{folder}/{name}", 0, 0, "missing-eval-file", "error", "there is no such file", near)
            )
    lines, own = parse_set(f"{folder}/{SET_FILE}", below[SET_FILE]) if SET_FILE in below else ((), ())
    problems += own
    graders = _read_graders(f"{folder}/{GRADERS_FILE}", below, problems)
    if graders is not None:
        problems += _about_graders(graders, below)
        for _, grader in _judges(graders.content):
            if grader.calibration is not None and grader.calibration in below:
                problems += parse_calibration(f"{folder}/{grader.calibration}", below[grader.calibration])[1]
        problems += _about_targets(graders.content, f"{folder}/{SET_FILE}", lines)
        if rules is not None:
            problems += _about_judges(graders, use_case, rules)
    problems += _not_enforced(f"{folder}/{SET_FILE}", lines)
    found = tuple(sorted(set(problems)))
    if graders is None or has_errors(found):
        return None, found
    named = {name: below[name] for name in sorted({name for _, name in _files_of(graders.content)})}
    return EvalSet(use_case, lines, graders.content, named, _hash(lines, graders.document, named)), found


def canonical(value: object) -> bytes:
    """Equal values, equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain).encode(
        "utf-8", "surrogatepass"
    )


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value)} does not stand in JSON")


def _hash(lines: tuple[Line[EvalSample], ...], graders: Document, files: Mapping[str, str]) -> str:
    ordered = sorted((line.data for line in lines), key=lambda data: str(data["id"]))
    whole = canonical({"set": ordered, "graders": graders.data, "files": files})
    return f"sha256:{hashlib.sha256(whole).hexdigest()}"


def _read_graders(file: str, below: Mapping[str, str], problems: list[Problem]) -> RuleFile[Graders] | None:
    if GRADERS_FILE not in below:
        return None
    document, syntax = parse_yaml(file, below[GRADERS_FILE])
    problems += syntax
    if document is None:
        return None
    content, wrong = validate_document(file, "graders", document, Graders)
    problems += wrong
    return None if content is None else RuleFile(file, content, document)


def _files_of(graders: Graders) -> Iterator[tuple[Path, str]]:
    for number, grader in enumerate(graders.graders):
        for key, name in _names_in(grader):
            yield ("graders", number, key), name


def _names_in(grader: Grader) -> Iterator[tuple[str, str]]:
    match grader:
        case JsonSchemaGrader():
            yield "schema", grader.schema_file
        case PythonGrader():
            yield "file", grader.file
        case JudgeGrader():
            yield "rubric", grader.rubric
            if grader.calibration is not None:
                yield "calibration", grader.calibration
        case _:
            pass


def _about_graders(graders: RuleFile[Graders], below: Mapping[str, str]) -> Iterator[Problem]:
    for path, name in _files_of(graders.content):
        if name not in below:
            near = did_you_mean(name, below) or "it lies in the folder of graders.yaml"
            yield graders.problem(path, "missing-eval-file", f"there is no file {shown(name)}", near)
    seen: set[str] = set()
    for number, grader in enumerate(graders.content.graders):
        if grader.id in seen:
            message = f"{shown(grader.id)} is already the id of another grader"
            yield graders.problem(("graders", number, "id"), "duplicate-name", message)
        seen.add(grader.id)
        match grader:
            case RegexGrader(pattern=str(pattern)):
                yield from _about_pattern(graders, number, grader, pattern)
            case JsonSchemaGrader() if grader.schema_file in below:
                yield from _about_schema(graders, number, below[grader.schema_file])
            case JudgeGrader(pass_at=int(), mode="beats_target"):
                message = "there is no score to pass at where an answer is held against the target"
                yield graders.problem(("graders", number, "pass_at"), "off-the-scale", message, "remove it")
            case JudgeGrader(pass_at=int(pass_at), scale=scale) if not scale.worst < pass_at <= scale.best:
                message = f"{pass_at} is not on the scale from {scale.worst} to {scale.best}, or everything passes"
                yield graders.problem(("graders", number, "pass_at"), "off-the-scale", message)
            case _:
                pass
    if all(grader.gate for grader in graders.content.graders):
        message = "every grader is a gate: an answer that passes them all counts as 1"
        yield graders.problem(("graders",), "only-gates", message, severity="warning", at_key=True)


def _about_pattern(graders: RuleFile[Graders], number: int, grader: RegexGrader, pattern: str) -> Iterator[Problem]:
    try:
        groups = re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError) as error:
        yield graders.problem(("graders", number, "pattern"), "bad-pattern", f"no regular expression: {error}")
        return
    if grader.group is not None and grader.group > groups:
        message = f"the pattern has {groups} groups, not {grader.group}"
        yield graders.problem(("graders", number, "group"), "bad-pattern", message)


def _about_schema(graders: RuleFile[Graders], number: int, text: str) -> Iterator[Problem]:
    path = ("graders", number, "schema")
    try:
        Draft202012Validator.check_schema(json.loads(text))
    except (ValueError, RecursionError) as error:
        yield graders.problem(path, "bad-json-schema", f"the file is no JSON: {error}")
    except jsonschema.SchemaError as error:
        where = "".join(f"/{part}" for part in error.absolute_path) or "its top"
        yield graders.problem(path, "bad-json-schema", f"the file is no JSON Schema: at {where}, {error.message[:200]}")


def _about_targets(graders: Graders, file: str, lines: tuple[Line[EvalSample], ...]) -> Iterator[Problem]:
    """One finding per grader, at the first sample that it cannot judge."""
    for grader in graders.graders:
        needs = _needs_of(grader)
        if needs is None:
            continue
        what, is_fit = needs
        unfit = [line for line in lines if not is_fit(line.sample.target)]
        if unfit:
            ids = ", ".join(line.sample.id for line in unfit[:NAMED]) + (", …" if len(unfit) > NAMED else "")
            count = "1 sample has" if len(unfit) == 1 else f"{len(unfit):,} samples have"
            message = f"{count} no target that grader {shown(grader.id)} can use: {ids}"
            yield Problem(file, unfit[0].number, 1, "unfit-target", "error", message, f"it needs {what}", "target")


def _needs_of(grader: Grader) -> tuple[str, Callable[[Any], bool]] | None:
    """What a grader needs of a target, and what tells it."""
    match grader:
        case ExactGrader():
            return "a text, a number, or a list of those", lambda target: _is_text(within(target, grader.target_field))
        case ContainsGrader():
            return "a text that is not empty, a number, or a list of those", lambda target: _is_text(
                within(target, grader.target_field), may_be_empty=False
            )
        case NumericGrader():
            return "a number", lambda target: _is_number(within(target, grader.target_field))
        case RegexGrader(pattern=None):
            return "a regular expression", lambda target: _is_pattern(within(target, grader.target_field))
        case RegexGrader(group=int()):
            return "a text", lambda target: _is_text(within(target, grader.target_field))
        case ToolCallGrader():
            return "tool_calls: [{name, arguments}]", _is_calls
        case JudgeGrader(mode="beats_target"):
            return "an answer to compare with", lambda target: target is not None
        case _:
            return None


def within(value: Any, field: str | None) -> Any:
    """`order.items.0` of a JSON value, all of it without a field; None where nothing is there."""
    for part in field.split(".") if field else ():
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _is_text(value: object, *, may_be_empty: bool = True) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(
        isinstance(one, str | int | Decimal) and (may_be_empty or str(one).strip() != "") for one in values
    )


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"\s*[-+]?[0-9][0-9,]*(\.[0-9]+)?\s*", value) is not None
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_pattern(value: object) -> bool:
    try:
        return isinstance(value, str) and re.compile(value) is not None
    except (re.error, RecursionError, OverflowError):
        return False


def _is_calls(target: object) -> bool:
    calls = target.get("tool_calls") if isinstance(target, dict) else target
    return isinstance(calls, list) and all(
        isinstance(call, dict) and isinstance(call.get("name"), str) and isinstance(call.get("arguments", {}), dict)
        for call in calls
    )


def _judges(graders: Graders) -> Iterator[tuple[int, JudgeGrader]]:
    for number, grader in enumerate(graders.graders):
        if isinstance(grader, JudgeGrader):
            yield number, grader


def _about_judges(graders: RuleFile[Graders], use_case: str, rules: RuleSet) -> Iterator[Problem]:
    for number, grader in _judges(graders.content):
        path = ("graders", number, "model")
        model, _, provider = grader.model.partition("@")
        known = rules.models.get(model)
        if known is None:
            if model not in rules.model_names():
                near = did_you_mean(model, rules.model_names())
                yield graders.problem(path, "unknown-model", f"unknown model {shown(model)}", near)
            continue
        doors = [served.provider for served in known.content.served_by]
        if provider and provider not in doors:
            near = did_you_mean(provider, doors) or f"it is served by {', '.join(doors)}"
            yield graders.problem(path, "unknown-provider", f"{shown(model)} is not served by {shown(provider)}", near)
        own = rules.use_cases.get(use_case)
        primary = None if own is None else rules.models.get(own.content.primary)
        if primary is not None and primary.content.vendor == known.content.vendor:
            message = f"{shown(model)} is of {known.content.vendor}, like the primary, whose answers it would judge"
            suggestion = "let another vendor's model judge: `eval run` refuses this one"
            yield graders.problem(path, "judge-of-own-vendor", message, suggestion, severity="warning")


def _not_enforced(file: str, lines: tuple[Line[EvalSample], ...]) -> Iterator[Problem]:
    for line in lines:
        if line.sample.weight is not None and line.sample.weight != 1:
            message = '"weight" is read and checked, but this version does not enforce it yet'
            yield Problem(file, line.number, 1, "not-enforced-yet", "warning", message, path="weight")
            return


def eval_problems(files: Mapping[str, str], rules: RuleSet | None) -> tuple[Problem, ...]:
    """Of all eval folders among the files of a rules repository."""
    problems: list[Problem] = []
    for use_case, below in sorted(eval_folders(files).items()):
        problems += load_eval(use_case, below, rules)[1]
        if rules is not None and use_case not in rules.use_case_names():
            folder = f"use-cases/{use_case}"
            near = did_you_mean(use_case, rules.use_case_names()) or "it lies in the folder of its use case"
            message = "there is no use case beside this eval set"
            problems.append(Problem(f"{folder}/eval/{SET_FILE}", 0, 0, "misplaced-file", "error", message, near))
    return tuple(sorted(problems))
