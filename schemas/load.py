"""Rule files to a rule set and its bundle, or to all problems at once. Pure: files, day and revision come in."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel

from schemas.bundle import MAX_BUNDLE_BYTES, Bundle, encode_bundle
from schemas.checks import check_rules
from schemas.checks.secrets import find_secrets
from schemas.compile import compile_bundle
from schemas.evidence_files import is_evidence
from schemas.kinds import RULE_FILES
from schemas.problems import Problem, did_you_mean, has_errors
from schemas.rules.platform import Platform
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.rules.rule_tests import RuleTests
from schemas.validate import validate_document
from schemas.yaml_source import Document, parse_yaml

PLATFORM_FILE = "pointsman.yaml"
_KNOWN_FOLDERS = ("providers", "models", "use-cases")
REMEMBERED_FILES = 4096
REMEMBERED_CHARACTERS = 16_384
"""A commit changes few of many files: what the others say is remembered, within 64 MiB of text."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of the files."""

    rule_set: RuleSet | None
    """None when a file cannot be read as what it should be."""
    bundle: Bundle | None
    """None exactly when there is an error among the problems."""
    problems: tuple[Problem, ...]
    """Sorted by place."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a path in the repository holds."""

    schema: str
    folder: str
    expected_name: str
    """What the path says the name inside must be; empty where nothing inside repeats it."""
    name_key: str = ""
    """The key that repeats it."""


def load(files: Mapping[str, str], *, today: date, revision: str) -> Loaded:
    """All rule files of a revision to what runs.

    Args:
        files: repository path (with `/`) to text; what is not part of the known layout is ignored.
        today: the day by which prices and reviews are judged.
        revision: git commit, or `folder_revision(files)`.
    """
    problems: list[Problem] = []
    found: dict[str, list[RuleFile[Any]]] = {kind: [] for kind in RULE_FILES}
    unreadable: dict[str, set[str]] = {}
    for file in sorted(files):
        kind = _kind_of(file)
        if isinstance(kind, Problem):
            problems.append(kind)
        elif kind is not None:
            content, own = _read(file, files[file], kind)
            problems += own
            if content is not None:
                found[kind.schema].append(content)
            else:
                unreadable.setdefault(kind.folder, set()).add(kind.expected_name)
    if PLATFORM_FILE not in files:
        problems.append(_no_platform_file(files))
    broken = has_errors(problems)
    rule_set = _rule_set(found, unreadable, revision, problems)
    problems += check_rules(rule_set, today)
    bundle = None if has_errors(problems) else compile_bundle(rule_set)
    if bundle is not None and (size := len(encode_bundle(bundle))) > MAX_BUNDLE_BYTES:
        message = f"the bundle has {size} bytes; a sidecar takes at most {MAX_BUNDLE_BYTES}"
        problems.append(Problem(PLATFORM_FILE, 0, 0, "bundle-too-large", "error", message))
        bundle = None
    return Loaded(None if broken else rule_set, bundle, tuple(sorted(set(problems))))


def load_rule_tests(files: Mapping[str, str]) -> tuple[Mapping[str, RuleFile[RuleTests]], tuple[Problem, ...]]:
    """Only the rule tests, by use case: for whoever has a bundle already."""
    found: dict[str, RuleFile[RuleTests]] = {}
    problems: list[Problem] = []
    for file in sorted(files):
        kind = _kind_of(file)
        if isinstance(kind, _Kind) and kind.schema == "rule-tests":
            content, own = _read(file, files[file], kind)
            problems += own
            if content is not None:
                found[kind.expected_name] = content
    return found, tuple(problems)


def folder_revision(files: Mapping[str, str]) -> str:
    """The revision of a plain folder: equal files, equal name."""
    digest = hashlib.sha256()
    for file in sorted(files):
        for part in (file, files[file]):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
    return f"folder:{digest.hexdigest()[:12]}"


def is_rule_file(path: str) -> bool:
    """Whether `load` looks at this path at all: what a folder's reader has to bring."""
    # A pointsman.yaml further down is not read; it tells people who look in the wrong folder where their rules lie.
    return _kind_of(path) is not None or is_evidence(path) or PurePosixPath(path).name == PLATFORM_FILE


def is_rule_folder(path: str) -> bool:
    """Whether rule files lie in this folder: what stands in its place instead hides them."""
    match PurePosixPath(path).parts:
        case ("providers" | "models" | "use-cases",):
            return True
        case ("use-cases", name):
            return "." not in name
        case _:
            return False


def _kind_of(file: str) -> _Kind | Problem | None:
    path = PurePosixPath(file)
    is_yaml = path.suffix in (".yaml", ".yml")
    match path.parts:
        case ("pointsman.yaml",):
            return _Kind("pointsman", "", "")
        case ("pointsman.yml",):
            return _misplaced(file, "rename it to pointsman.yaml")
        case ("providers", _) if path.suffix == ".yaml":
            return _Kind("provider", "providers", path.stem, "provider")
        case ("models", _) if path.suffix == ".yaml":
            return _Kind("model", "models", path.stem, "model")
        case ("use-cases", folder, "use-case.yaml"):
            return _Kind("use-case", "use-cases", folder, "use_case")
        case ("use-cases", folder, "tests.yaml"):
            return _Kind("rule-tests", "tests", folder)
        case ("use-cases", _, ("eval" | "evidence"), *_):
            return None  # `eval_files` and `evidence_files` read these.
        case (("providers" | "models"), _) if is_yaml:
            return _misplaced(file, f"rename it to {path.stem}.yaml")
        case (("providers" | "models") as folder, *_) if is_yaml:
            return _misplaced(file, f"{folder} are files named {folder}/<name>.yaml")
        case ("use-cases", *_) if is_yaml:
            near = did_you_mean(path.name, ("use-case.yaml", "tests.yaml"))
            return _misplaced(file, near or "a use case is use-cases/<name>/use-case.yaml, with tests.yaml beside it")
        case (folder, *_, _) if is_yaml and folder not in _KNOWN_FOLDERS and did_you_mean(folder, _KNOWN_FOLDERS):
            return _misplaced(file, did_you_mean(folder, _KNOWN_FOLDERS))
        case _:
            return None


def _misplaced(file: str, suggestion: str) -> Problem:
    return Problem(file, 0, 0, "misplaced-file", "error", "no rule file is read from here", suggestion)


def _no_platform_file(files: Mapping[str, str]) -> Problem:
    elsewhere = next((file for file in sorted(files) if PurePosixPath(file).name == PLATFORM_FILE), "")
    if elsewhere:
        suggestion = f"the rules seem to lie in {PurePosixPath(elsewhere).parent}"
    else:
        suggestion = 'make one; "schema: 1" is all that it needs'
    return Problem(PLATFORM_FILE, 0, 0, "missing-file", "error", "the rules have no pointsman.yaml", suggestion)


def _read(file: str, text: str, kind: _Kind) -> tuple[RuleFile[Any] | None, tuple[Problem, ...]]:
    """What one file says by itself."""
    read = _read_once if len(text) <= REMEMBERED_CHARACTERS else _read_anew
    return read(file, text, kind)


def _read_anew(file: str, text: str, kind: _Kind) -> tuple[RuleFile[Any] | None, tuple[Problem, ...]]:
    problems = list(find_secrets(file, text))
    document, syntax = parse_yaml(file, text)
    problems += syntax
    if document is None:
        return None, tuple(problems)
    content_type: type[BaseModel] = RULE_FILES[kind.schema]
    content, wrong = validate_document(file, kind.schema, document, content_type)
    problems += wrong
    if content is None:
        return None, tuple(problems)
    rule_file: RuleFile[Any] = RuleFile(file, content, document)
    if kind.name_key and (name := getattr(content, kind.name_key)) != kind.expected_name:
        problems.append(
            rule_file.problem(
                (kind.name_key,),
                "name-differs-from-file",
                f'"{name}" stands in the place of "{kind.expected_name}"',
                f'write "{kind.expected_name}", or rename the {"folder" if kind.schema == "use-case" else "file"}',
            )
        )
    return rule_file, tuple(problems)


_read_once = lru_cache(maxsize=REMEMBERED_FILES)(_read_anew)


def _rule_set(
    found: Mapping[str, list[RuleFile[Any]]],
    unreadable: Mapping[str, set[str]],
    revision: str,
    problems: list[Problem],
) -> RuleSet:
    nothing_said = RuleFile(PLATFORM_FILE, Platform.model_validate({"schema": 1}), Document({}, {}, {}))
    return RuleSet(
        revision=revision,
        platform=next(iter(found["pointsman"]), nothing_said),
        providers=_by_name(found["provider"], "provider", problems),
        models=_by_name(found["model"], "model", problems),
        use_cases=_by_name(found["use-case"], "use_case", problems),
        tests={PurePosixPath(tests.file).parts[1]: tests for tests in found["rule-tests"]},
        unreadable={folder: frozenset(names) for folder, names in unreadable.items()},
    )


def _by_name(files: list[RuleFile[Any]], key: str, problems: list[Problem]) -> dict[str, RuleFile[Any]]:
    named: dict[str, RuleFile[Any]] = {}
    for rule_file in files:
        name = getattr(rule_file.content, key)
        if name in named:
            first = named[name].file
            problems.append(rule_file.problem((key,), "duplicate-name", f'"{name}" is already the name of {first}'))
        else:
            named[name] = rule_file
    return named
