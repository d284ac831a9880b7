"""What two revisions say differently, by meaning: use cases, rules, models, prices, providers, callers, owners. Pure.

Compiled bundles are compared, where every default is filled in: a file that is only written otherwise is no change.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import msgspec

from schemas.bundle import Bundle
from schemas.rules.platform import Platform
from schemas.rules.rule_set import RuleSet

Kind: TypeAlias = Literal["use_case", "model", "provider", "caller", "platform"]
Action: TypeAlias = Literal["added", "removed", "changed"]
PLATFORM_KEYS: Final = ("owners", "grants", "rollout")
"""What the platform's file says and no bundle holds."""
FIRST: Final = ("primary", "fallbacks")
"""Fields that people look for first."""
WORDS: Final = {"kind": "class", "ceiling": "cost_ceiling", "bar": "quality_bar", "chain[0]": "primary"}
"""Keys of a bundle by their names in rule files."""


@dataclass(frozen=True, slots=True, order=True)
class Detail:
    """One field. None: it is not said there."""

    field: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.field}: {self.after}"
        return f"{self.field}: {self.before} → {self.after if self.after is not None else 'nothing'}"


@dataclass(frozen=True, slots=True)
class Change:
    kind: Kind
    name: str
    action: Action
    details: tuple[Detail, ...] = ()

    @property
    def file(self) -> str:
        match self.kind:
            case "use_case":
                return f"use-cases/{self.name}/use-case.yaml"
            case "model" | "provider":
                return f"{self.kind}s/{self.name}.yaml"
            case _:
                return "pointsman.yaml"

    def __str__(self) -> str:
        what = "pointsman.yaml" if self.kind == "platform" else f"{self.kind.replace('_', ' ')} {self.name}"
        said = "; ".join(map(str, self.details))
        return f"{what} {self.action}" + (f": {said}" if said else "")


def changes_between(before: Bundle, after: Bundle, before_rules: RuleSet, after_rules: RuleSet) -> list[Change]:
    """By kind and name; nothing where both would run alike."""
    old, new = _parts(before, before_rules), _parts(after, after_rules)
    found: list[Change] = []
    kinds: tuple[tuple[Kind, str], ...] = (
        ("use_case", "use_cases"), ("model", "models"), ("provider", "providers"), ("caller", "callers")
    )  # fmt: skip
    for kind, key in kinds:
        found += _of_kind(kind, old[key], new[key])
    owned = [_said(rules.platform.content) for rules in (before_rules, after_rules)]
    if details := tuple(_details(*owned)):
        found.append(Change("platform", "pointsman", "changed", details))
    return found


def _parts(bundle: Bundle, rules: RuleSet) -> dict[str, dict[str, Any]]:
    built: dict[str, Any] = msgspec.to_builtins(bundle)
    for name, use_case in rules.use_cases.items():
        if use_case.content.canary is not None:  # how it climbs is the controller's business: no bundle holds it
            climbs = use_case.content.canary.model_dump(mode="json", exclude_defaults=True)
            built["use_cases"][name]["canary"] = {**climbs, **built["use_cases"][name]["canary"]}
    use_cases = {name: _use_case(document) for name, document in built.get("use_cases", {}).items()}
    callers = {document["name"]: document for document in built.get("callers", ())}
    return {
        "use_cases": use_cases,
        "models": built.get("models", {}),
        "providers": built.get("providers", {}),
        "callers": callers,
    }


def _use_case(document: Mapping[str, Any]) -> dict[str, Any]:
    """With the words of rule files: a primary and its fallbacks, and each rule likewise."""
    rules = [_chained(rule) for rule in document.get("rules", ())]
    return {**_chained(document), **({"rules": rules} if rules else {})}


def _chained(document: Mapping[str, Any]) -> dict[str, Any]:
    said = {WORDS.get(key, key): value for key, value in document.items() if key != "chain"}
    chain = list(document["chain"])
    return {"primary": chain[0], **({"fallbacks": chain[1:]} if chain[1:] else {}), **said}


def _said(platform: Platform) -> dict[str, Any]:
    return platform.model_dump(mode="json", include=set(PLATFORM_KEYS), exclude_defaults=True)


def _of_kind(kind: Kind, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield Change(kind, name, "added", tuple(_summary(kind, new[name])))
        elif name not in new:
            yield Change(kind, name, "removed")
        elif details := tuple(_details(old[name], new[name])):
            yield Change(kind, name, "changed", details)


def _summary(kind: Kind, said: Mapping[str, Any]) -> Iterator[Detail]:
    """Of something that is new, what people ask first."""
    keys = {"use_case": ("owner", "primary", "fallbacks"), "model": ("vendor",), "provider": ("base_url",)}.get(
        kind, ()
    )
    for key in keys:
        if key in said:
            yield Detail(key, None, _shown(said[key]))


def _details(old: object, new: object) -> Iterator[Detail]:
    before, after = dict(_leaves("", old)), dict(_leaves("", new))
    for path in sorted(before.keys() | after.keys(), key=lambda path: (*(path != first for first in FIRST), path)):
        one, other = before.get(path), after.get(path)
        if one != other:
            yield Detail(path, one, other)


def _leaves(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Dotted paths to what stands there; a list of plain values is one value, as people write it."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from _leaves(f"{path}.{key}" if path else str(key), inner)
        case list() | tuple() if any(isinstance(inner, dict | list) for inner in value):
            for number, inner in enumerate(value):
                yield from _leaves(f"{path}[{number}]", inner)
        case _:
            yield path, _shown(value)


def _shown(value: object) -> str:
    match value:
        case list() | tuple():
            return ", ".join(map(_shown, value)) or "none"
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)
