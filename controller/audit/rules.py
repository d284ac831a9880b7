"""What the audit needs of a rules repository: its use cases, the models each may be answered by, and its aliases."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from controller.errors import SourceUnavailable
from controller.folder import read_folder
from schemas.load import load
from schemas.rules.rule_set import RuleSet
from schemas.rules.use_case import UseCase

RULES_FILE: Final = "pointsman.yaml"


@dataclass(frozen=True, slots=True)
class KnownUseCase:
    models: tuple[str, ...]
    """All that its rules let answer, first choice first."""
    vendors: tuple[str, ...]
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class KnownRules:
    use_cases: Mapping[str, KnownUseCase] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    """A use case's name or plain alias to the use case."""
    vendors: Mapping[str, str] = field(default_factory=dict)
    """Model to vendor."""


def read_known(folder: Path, today: date) -> KnownRules:
    """The rules as they lie.

    Raises:
        SourceUnavailable: no such folder, or a file in it that `check` would refuse to read.
    """
    tree = read_folder(folder)
    loaded = load(tree.files, today=today, revision=tree.revision)
    rules = loaded.rule_set
    if rules is None:
        raise SourceUnavailable(f"the rules in {folder} cannot be read; `pointsman check {folder}` says why")
    return known_of(rules)


def known_of(rules: RuleSet) -> KnownRules:
    vendors = {name: model.content.vendor for name, model in rules.models.items()}
    use_cases: dict[str, KnownUseCase] = {}
    names: dict[str, str] = {}
    for name, file in rules.use_cases.items():
        models = tuple(dict.fromkeys(_chain(file.content)))
        known = tuple(dict.fromkeys(vendors[model] for model in models if model in vendors))
        use_cases[name] = KnownUseCase(models, known, file.content.owner)
        names |= {alias: name for alias in file.content.aliases if not set(alias) & set("*?[")} | {name: name}
    return KnownRules(use_cases, names, vendors)


def _chain(use_case: UseCase) -> list[str]:
    """Also the ways out of a ceiling and of a quality bar: they answer calls."""
    models = [use_case.primary, *use_case.fallbacks]
    for rule in use_case.rules:
        models += [rule.primary, *rule.fallbacks, *(part.model for part in rule.split)]
    models += [part.model for part in use_case.split]
    if use_case.canary:
        models.append(use_case.canary.model)
    for way_out in (use_case.cost_ceiling, use_case.quality_bar):
        if way_out and way_out.then and way_out.then != "reject":
            models += way_out.then
    return models
