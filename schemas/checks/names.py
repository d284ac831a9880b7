"""Every name leads somewhere."""

from collections.abc import Collection, Iterator
from datetime import date
from fnmatch import fnmatchcase

from schemas.checks.chain_members import models_named
from schemas.problems import Problem, did_you_mean
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.rules.rule_tests import RuleTest, RuleTests
from schemas.yaml_source import Path


def served_by_known_providers(rules: RuleSet, today: date) -> Iterator[Problem]:
    known = rules.provider_names()
    for model in rules.models.values():
        for index, door in enumerate(model.content.served_by):
            if door.provider not in known:
                message, suggestion = unknown("provider", door.provider, known)
                yield model.problem(("served_by", index, "provider"), "unknown-provider", message, suggestion)


def use_cases_name_known_models(rules: RuleSet, today: date) -> Iterator[Problem]:
    known = rules.model_names()
    for use_case in rules.use_cases.values():
        for path, model in models_named(use_case.content):
            if model not in known:
                message, suggestion = unknown("model", model, known)
                yield use_case.problem(path, "unknown-model", message, suggestion)


def locks_name_known_vendors(rules: RuleSet, today: date) -> Iterator[Problem]:
    known = {model.content.vendor for model in rules.models.values()}
    if rules.unreadable.get("models"):
        return
    for use_case in rules.use_cases.values():
        lock = use_case.content.lock
        if lock is not None and lock.vendor not in known:
            message, suggestion = unknown("vendor", lock.vendor, known)
            yield use_case.problem(("lock", "vendor"), "unknown-vendor", message, suggestion)


def callers_name_known_use_cases(rules: RuleSet, today: date) -> Iterator[Problem]:
    known, names_seen, keys_seen = rules.use_case_names(), set[str](), set[str]()
    for index, caller in enumerate(rules.platform.content.callers):
        path: Path = ("callers", index)
        named: list[tuple[Path, str]] = [((*path, "use_cases", i), name) for i, name in enumerate(caller.use_cases)]
        if caller.default_use_case is not None:
            named.append(((*path, "default_use_case"), caller.default_use_case))
            if caller.use_cases and caller.default_use_case not in caller.use_cases:
                message = f'"{caller.default_use_case}" is not among the use cases that this caller may call'
                yield rules.platform.problem((*path, "default_use_case"), "default-not-allowed", message)
        for place, name in named:
            if name not in known:
                message, suggestion = unknown("use case", name, known)
                yield rules.platform.problem(place, "unknown-use-case", message, suggestion)
        if caller.name in names_seen:
            yield rules.platform.problem((*path, "name"), "duplicate-name", f'a second caller named "{caller.name}"')
        if caller.key in keys_seen:
            yield rules.platform.problem((*path, "key"), "duplicate-key-hash", "another caller has the same key")
        names_seen.add(caller.name)
        keys_seen.add(caller.key)


def tests_name_what_exists(rules: RuleSet, today: date) -> Iterator[Problem]:
    folders = {use_case.file.rpartition("/")[0] for use_case in rules.use_cases.values()}
    targets = rules.model_names() | {f"{model}@{provider}" for model, provider in _doors(rules)}
    for name, tests in rules.tests.items():
        folder = tests.file.rpartition("/")[0]
        if folder not in folders and name not in rules.unreadable.get("use-cases", ()):
            yield tests.problem((), "tests-without-use-case", f"there is no {folder}/use-case.yaml")
        seen: set[str] = set()
        for index, test in enumerate(tests.content.root):
            if test.name in seen:
                yield tests.problem((index, "name"), "duplicate-name", "a second test of this name")
            seen.add(test.name)
            yield from _names_in_test(rules, targets, tests, index, test)


def _names_in_test(
    rules: RuleSet, targets: frozenset[str], tests: RuleFile[RuleTests], index: int, test: RuleTest
) -> Iterator[Problem]:
    for position, down in enumerate(test.given.down):
        if down not in targets and down not in rules.provider_names():
            message, suggestion = unknown("provider, model or target", down, targets | rules.provider_names())
            yield tests.problem((index, "given", "down", position), "unknown-target", message, suggestion)
    answered_by = test.given.answered_by
    if answered_by is not None and answered_by not in targets:
        message, suggestion = unknown("model or target", answered_by, targets)
        yield tests.problem((index, "given", "answered_by"), "unknown-target", message, suggestion)
    expect = test.expect
    named: list[tuple[Path, str]] = [((index, "expect", "route", i), m) for i, m in enumerate(expect.route or ())]
    named += [((index, "expect", "skipped", model), model) for model in expect.skipped]
    if expect.first is not None:
        named.append(((index, "expect", "first"), expect.first))
    for path, model in named:
        if model not in targets:
            message, suggestion = unknown("model", model, rules.model_names())
            yield tests.problem(path, "unknown-model", message, suggestion)


def _doors(rules: RuleSet) -> Iterator[tuple[str, str]]:
    for name, model in rules.models.items():
        for door in model.content.served_by:
            yield name, door.provider


def unknown(kind: str, name: str, known: Collection[str]) -> tuple[str, str]:
    """The message about a name that leads nowhere, and what would be right."""
    plain = sorted(known)
    listing = f"known: {', '.join(plain[:8])}{', …' if len(plain) > 8 else ''}" if plain else f"there is no {kind} yet"
    folded = next((other for other in plain if fnmatchcase(other.lower(), name.lower())), "")
    hint = f'did you mean "{folded}"?' if folded else did_you_mean(name, known)
    return f'unknown {kind} "{name}"', hint or listing
