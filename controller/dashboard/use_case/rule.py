"""The rule as it runs, line by line, and the place in the rule files that each line comes from. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from controller.dashboard.view import Table
from schemas.bundle import Bundle, models_named
from schemas.rules.rule_set import RuleFile, RuleSet, written
from schemas.rules.use_case import UseCase
from schemas.yaml_source import Document, Path

HEAD: Final = ("line", "value", "comes from")
OURS: Final = "Pointsman's default"
UNKNOWN: Final = "unknown"
MERGED: Final = ("timeouts", "retry")
"""What the platform's defaults fill in, key by key."""

Line = tuple[str, str, str]


def rule_table(name: str, bundle: Bundle | None, rules: RuleSet | None) -> Table:
    """
    Args:
        rules: of the bundle's own revision; None: its files cannot be read.
    """
    rows = [] if bundle is None or name not in bundle.use_cases else list(_lines(name, bundle, rules))
    note = "Every line that is in force, defaults filled in, with the models and providers that it leads to."
    empty = (
        "No rule of this name runs. Add use-cases/<name>/use-case.yaml, or see GET /v1/problems for why it does not."
    )
    return Table("rule", "The rule as it runs", HEAD, rows, empty, note=note)


def _lines(name: str, bundle: Bundle, rules: RuleSet | None) -> Iterator[Line]:
    own = None if rules is None else rules.use_cases.get(name)
    if rules is None or own is None:
        for path, value in _leaves((), msgspec.to_builtins(bundle.use_cases[name])):
            yield written(path), _said(value), UNKNOWN
        return
    yield from _own_lines(own)
    yield from _merged_lines(own, bundle, name, rules)
    providers: dict[str, None] = {}
    for model in dict.fromkeys(models_named(bundle.use_cases[name])):
        if model in rules.models:
            yield from _model_lines(rules.models[model].file, rules.models[model].document, model, bundle)
            providers |= dict.fromkeys(door.provider for door in bundle.models[model].served_by)
    for provider in providers:
        found = rules.providers[provider]
        value = f"{found.content.dialect}, {bundle.providers[provider].base_url}"
        yield f"provider {provider}", value, _place(found.file, found.document, ("base_url",))


def _own_lines(own: RuleFile[UseCase]) -> Iterator[Line]:
    said = own.content.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=set(MERGED))
    # Header names are written as people like, and compared in lower case.
    places = {written(path).casefold(): path for path in own.document.value_places}
    for path, value in _leaves((), said):
        if value in ([], {}):
            continue
        as_written = places.get(written(path).casefold())
        if as_written is None:
            yield written(path), _said(value), OURS
        else:
            value = _value_at(own.document, as_written)
            yield written(path), _said(value), _place(own.file, own.document, as_written)


def _merged_lines(own: RuleFile[UseCase], bundle: Bundle, name: str, rules: RuleSet) -> Iterator[Line]:
    compiled, platform = bundle.use_cases[name], rules.platform
    for part, values in (("timeouts", compiled.timeouts), ("retry", compiled.retry)):
        for key in values.__struct_fields__:
            path, default = (part, key), ("defaults", part, key)
            value = getattr(values, key)
            words = f"{value:g} s" if part == "timeouts" else f"{value}"
            if path in own.document.value_places:
                yield written(path), words, _place(own.file, own.document, path)
            elif default in platform.document.value_places:
                yield written(path), words, _place(platform.file, platform.document, default)
            else:
                yield written(path), words, OURS


def _model_lines(file: str, document: Document, name: str, bundle: Bundle) -> Iterator[Line]:
    model = bundle.models[name]
    value = f"{model.vendor}, {model.context_window:,} tokens of context"
    yield f"model {name}", value, _place(file, document, ("model",))
    for number, door in enumerate(model.served_by):
        yield f"model {name} at {door.provider}", f"as {door.name}", _place(file, document, ("served_by", number))


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """A list of plain values is one value, as people write it."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from _leaves((*path, key), inner)
        case list() if any(isinstance(inner, dict | list) for inner in value):
            for number, inner in enumerate(value):
                yield from _leaves((*path, number), inner)
        case _:
            yield path, value


def _value_at(document: Document, path: Path) -> Any:
    value: Any = document.data
    for key in path:
        value = value[key]
    return value


def _place(file: str, document: Document, path: Path) -> str:
    return f"{file}:{document.place_of(path)[0]}"


def _said(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(_said, value))
        case Mapping():
            return ", ".join(f"{key}: {_said(inner)}" for key, inner in value.items())
        case _:
            return f"{value}"
