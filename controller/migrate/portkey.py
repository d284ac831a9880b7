"""A config of Portkey's gateway to rule files. https://portkey.ai/docs/api-reference/config-object

Each config becomes a use case: its targets become models and the providers that serve them, its strategy the chain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from glob import escape
from pathlib import PurePath
from typing import Any, Final

from controller.migrate.catalogue import Catalogue
from controller.migrate.chains import IN_ORDER, REVIEW_AFTER, as_chain
from controller.migrate.deployments import Deployment, as_number
from controller.migrate.notes import Converted, NotAConfig, Notebook
from controller.migrate.portkey_keys import LEFT, READ, RETRIES, Node, node_of
from controller.migrate.portkey_targets import Targets
from controller.migrate.portkey_tree import Chain, Said, Tree
from controller.migrate.written import as_yaml
from controller.prices.known import PriceList
from schemas.yaml_source import parse_yaml

LONGEST_MS: Final = 86_400_000
PER_ATTEMPT: Final = "said otherwise: timeouts.deadline is of the whole call, with every attempt"


def convert(file: str, text: str, *, owner: str, today: date, prices: PriceList | None, model: str | None) -> Converted:
    """
    Args:
        text: one config as JSON, or several as one mapping of their names.
        owner: the team that owns the use cases.
        prices: None: no price is known.
        model: what agents ask for where no target names a model; it becomes an alias.

    Raises:
        NotAConfig: it cannot be read, or holds no target that can be converted.
    """
    # JSON lets tabs stand between its words, and nowhere inside them.
    document, problems = parse_yaml(file, text.replace("\t", " "))
    if document is None:
        raise NotAConfig("\n".join(map(str, problems)))
    notebook = Notebook(document)
    targets, catalogue = Targets(notebook, model), Catalogue(notebook, prices, today)
    files: dict[str, str] = {}
    taken: set[str] = set()
    configs = _configs(file, document.data)
    for name, node in configs.items():
        own = catalogue.free_name(name, taken)
        aliases = [escape(one) for one in dict.fromkeys((name, model if len(configs) == 1 else None)) if one]
        content = _use_case(notebook, catalogue, targets, own, node)
        if content is not None:
            said = {"aliases": [one for one in aliases if one != own]}
            head = {"use_case": own, "owner": owner, "class": "internal"} | (said if said["aliases"] else {})
            review = {"review": {"by": today + REVIEW_AFTER}}
            files[f"use-cases/{own}/use-case.yaml"] = as_yaml(head | content | review)
    if not files:
        notes = "".join(f"\n{file}:{note.line}  {note.key}  {note.says}" for note in notebook.notes())
        raise NotAConfig(f"{file}: no target of it can be converted{notes}")
    return Converted({"pointsman.yaml": as_yaml({"schema": 1}), **catalogue.files(), **files}, notebook.notes())


def _configs(file: str, data: object) -> Mapping[str, Node]:
    """By name. A mapping of which no key is a config's own holds several."""
    if isinstance(data, dict) and data:
        whole = node_of((), data)
        if whole.values.keys() & {*READ, *LEFT}:
            return {PurePath(file).stem: whole}
        if all(isinstance(one, dict) for one in data.values()):
            return {str(name): node_of((name,), one) for name, one in data.items()}
    raise NotAConfig(f"{file}:1  no Portkey config: a JSON object with provider, or with strategy and targets")


def _use_case(
    notebook: Notebook, catalogue: Catalogue, targets: Targets, name: str, node: Node
) -> dict[str, Any] | None:
    """What its config says of it; None where none of its targets can be converted."""
    tree = Tree(notebook, lambda leaf, asked: targets.deployment(name, leaf, asked))
    chain, rules = tree.root(node)
    if chain is None:
        return None
    models = _Models.of(notebook, catalogue, (chain, *(one for _, one in rules)))
    content = models.chain(chain)
    if rules:
        content["rules"] = [{"when": when, **models.chain(one)} for when, one in rules]
    deadline = _deadline(notebook, tree.timeouts)
    content |= {"timeouts": {"deadline": deadline}} if deadline else {}
    attempts = [None if one is None else as_number(one.value) for one in tree.attempts]
    if attempts and set(attempts) == {Decimal()}:
        content["retry"] = {"same_target": 0}
    else:
        for said in filter(None, tree.attempts):
            notebook.add(said.path, RETRIES, needs_you=False)
    sticky = node.inner("strategy").inner("sticky")
    if sticky.get("enabled") is True:
        content["sticky"] = {"by": "conversation"}
        says = "said otherwise: a conversation stays on one model, told by x-pointsman-conversation or how it begins"
        notebook.add(node.inner("strategy").at("sticky"), says, needs_you=False)
    return content


@dataclass(frozen=True, slots=True)
class _Models:
    """The models of a config: what is one model by its name is one here, whoever serves it."""

    names: Mapping[str, str]
    """Identity → model."""

    @classmethod
    def of(cls, notebook: Notebook, catalogue: Catalogue, chains: Sequence[Chain]) -> "_Models":
        doors: dict[str, dict[tuple[str | int, ...], Deployment]] = {}
        for chain in chains:
            for one in (*(deployment for deployment, _ in chain.arms), *chain.after):
                doors.setdefault(one.identity, {})[one.path] = one
        for each in doors.values():
            if len(each) > 1:
                notebook.add(next(iter(each)), IN_ORDER, needs_you=False)
        return cls({identity: catalogue.model(identity, [*each.values()]) for identity, each in doors.items()})

    def chain(self, chain: Chain) -> dict[str, Any]:
        weights: dict[str, Decimal] = {}
        for deployment, weight in chain.arms:
            model = self.names[deployment.identity]
            weights[model] = weights.get(model, Decimal()) + weight
        arms = sorted(weights.items(), key=lambda arm: -arm[1])
        return as_chain(arms, [self.names[one.identity] for one in chain.after])


def _deadline(notebook: Notebook, timeouts: Sequence[Said | None]) -> str | None:
    """What all targets say; a use case has one such time."""
    said = [one for one in timeouts if one is not None]
    values = {_duration(one.value) for one in said}
    if len(values) == 1 and len(said) == len(timeouts) and None not in values:
        for one in said:
            notebook.add(one.path, PER_ATTEMPT, needs_you=False)
        return values.pop()
    for one in said:
        notebook.add(one.path, "not carried over: one time is said per use case (timeouts), in milliseconds of a day")
    return None


def _duration(value: object) -> str | None:
    """Milliseconds, as Portkey says them: `30000` as `30s`."""
    number = as_number(value)
    if number is None or not 0 < number <= LONGEST_MS or number != int(number):
        return None
    return f"{int(number) // 1000}s" if number % 1000 == 0 else f"{int(number)}ms"
