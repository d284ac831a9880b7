"""Portkey's tree of strategies as one chain: who shares the calls, and who steps in after them.

A target takes what its config says and says itself over it, as the gateway's `tryTargetsRecursively` does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from controller.migrate.deployments import Deployment, as_number
from controller.migrate.notes import Notebook
from controller.migrate.portkey_keys import Node, left_of, node_of
from controller.migrate.portkey_query import CannotSay, When, whens_of
from schemas.yaml_source import Path

MODES: Final = ("single", "fallback", "loadbalance", "conditional")
MOST_LEVELS: Final = 16
SHARED: Final = "said otherwise: as a fallback, models that share calls are asked in order of their weights"
MERGED: Final = "said otherwise: what steps in for one of the models that share calls steps in for all of them"
INSIDE: Final = "not carried over: conditions inside a target; its default is taken. Write a use case for each"


@dataclass(frozen=True, slots=True)
class Chain:
    arms: tuple[tuple[Deployment, Decimal], ...]
    """Who shares the calls, with their weights."""
    after: tuple[Deployment, ...] = ()

    def in_order(self) -> tuple[Deployment, ...]:
        ordered = sorted(self.arms, key=lambda arm: -arm[1])
        return (*(deployment for deployment, _ in ordered), *self.after)


@dataclass(frozen=True, slots=True)
class Said:
    """A setting that a target has by its own word or by that of a config around it."""

    path: Path
    value: Any


@dataclass(frozen=True, slots=True)
class Given:
    """What is handed down."""

    model: str | None = None
    """Of `override_params`."""
    timeout: Said | None = None
    attempts: Said | None = None


@dataclass(slots=True)
class Tree:
    """Reads one config."""

    notebook: Notebook
    leaf: Callable[[Node, str | None], Deployment | None]
    timeouts: list[Said | None] = field(default_factory=list)
    """Of each target."""
    attempts: list[Said | None] = field(default_factory=list)

    def root(self, node: Node) -> tuple[Chain | None, Sequence[tuple[When, Chain]]]:
        """The chain of calls for which no condition holds, and those that have one."""
        strategy = node.inner("strategy")
        if strategy.get("mode") != "conditional":
            return self.chain(node, Given()), ()
        given = self._below(node, Given())
        chains: dict[str, Chain | None] = {}
        for child in self._children(node):
            name = child.get("name")
            if isinstance(name, str) and name not in chains:
                chains[name] = self.chain(child, given)
            else:
                self.notebook.add(child.path, "not carried over: no condition leads here without a name of its own")
        rules: list[tuple[When, Chain]] = []
        conditions = strategy.get("conditions")
        for index, one in enumerate(conditions if isinstance(conditions, list) else []):
            condition = node_of((*strategy.at("conditions"), index), one)
            chain = self._named(condition.at("then"), condition.get("then"), chains)
            try:
                whens = whens_of(condition.at("query"), condition.get("query"))
            except CannotSay as unable:
                self.notebook.add(unable.path, str(unable))
                continue
            rules += [(when, chain) for when in whens] if chain else []
        if any("metadata" in when for when, _ in rules):
            says = "agents say metadata in the request's body now (OpenAI's metadata), not in x-portkey-metadata"
            self.notebook.add(strategy.at("conditions"), says)
        default = strategy.get("default")
        chain = self._named(strategy.at("default"), default, chains) if default is not None else None
        if chain is None:
            chain = next((one for one in chains.values() if one), None)
            says = (
                "no default that can be converted: calls without a condition that holds go to the first target that can"
            )
            self.notebook.add(strategy.path, says)
        return chain, rules

    def chain(self, node: Node, given: Given) -> Chain | None:
        """None where none of its targets can be converted."""
        below = self._below(node, given)
        children = self._children(node)
        if not children:
            self.timeouts.append(below.timeout)
            self.attempts.append(below.attempts)
            deployment = self.leaf(node, below.model)
            return Chain(((deployment, Decimal(1)),)) if deployment else None
        if len(node.path) > 2 * MOST_LEVELS:
            self.notebook.add(node.path, f"skipped: more than {MOST_LEVELS} configs inside one another")
            return None
        strategy = node.inner("strategy")
        mode = strategy.get("mode")
        if mode not in MODES:
            says = f"expected one of {', '.join(MODES)}; taken as fallback"
            self.notebook.add(strategy.at("mode") if "mode" in strategy.values else node.at("targets"), says)
        if mode == "loadbalance":
            return self._shared(node, children, below)
        if mode == "conditional":
            self.notebook.add(strategy.at("mode"), INSIDE)
            default = [child for child in children if child.get("name") == strategy.get("default")]
            children = default or children[:1]
        elif mode == "single":
            for child in children[1:]:
                self.notebook.add(child.path, "not carried over: single asks the first target alone", needs_you=False)
            children = children[:1]
        chains = [(child, chain) for child in children if (chain := self.chain(child, below))]
        if not chains:
            return None
        (_, first), *others = chains
        for child, chain in others:
            if len(chain.arms) > 1:
                self.notebook.add(child.path, SHARED, needs_you=False)
        return replace(first, after=(*first.after, *(one for _, chain in others for one in chain.in_order())))

    def _shared(self, node: Node, children: Sequence[Node], below: Given) -> Chain | None:
        arms: list[tuple[Deployment, Decimal]] = []
        after: list[Deployment] = []
        for child in children:
            weight = as_number(1 if child.get("weight") is None else child.get("weight"))
            if weight is None:
                self.notebook.add(child.at("weight"), "expected a number of at least 0; taken as 1")
                weight = Decimal(1)
            if not weight:
                self.notebook.add(child.at("weight"), "not carried over: nothing is sent there", needs_you=False)
                continue
            chain = self.chain(child, below)
            if chain is None:
                continue
            total = sum((share for _, share in chain.arms), Decimal())
            arms += [(deployment, weight * share / total) for deployment, share in chain.arms]
            after += chain.after
        if after and len(children) > 1:
            self.notebook.add(node.at("targets"), MERGED, needs_you=False)
        return Chain(tuple(arms), tuple(after)) if arms else None

    def _named(self, path: Path, name: object, chains: Mapping[str, Chain | None]) -> Chain | None:
        if not isinstance(name, str) or name not in chains:
            self.notebook.add(path, "no target of this config has this name")
            return None
        return chains[name]

    def _below(self, node: Node, given: Given) -> Given:
        """What is handed on, its own word first; and what it says that nobody carries over."""
        for path, (says, needs_you) in left_of(node).items():
            self.notebook.add(path, says, needs_you=needs_you)
        overrides, retry = node.inner("override_params"), node.inner("retry")
        model = overrides.get("model")
        if isinstance(model, str) and model:
            given = replace(given, model=model)
        if node.get("request_timeout") is not None:
            given = replace(given, timeout=Said(node.at("request_timeout"), node.get("request_timeout")))
        if retry.get("attempts") is not None:
            given = replace(given, attempts=Said(retry.at("attempts"), retry.get("attempts")))
        return given

    def _children(self, node: Node) -> list[Node]:
        targets = node.get("targets")
        if targets is not None and (not isinstance(targets, list) or not targets):
            self.notebook.add(node.at("targets"), "expected a list of targets")
        items = targets if isinstance(targets, list) else []
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                self.notebook.add((*node.at("targets"), index), "expected a target: a mapping")
        return [
            node_of((*node.at("targets"), index), item) for index, item in enumerate(items) if isinstance(item, dict)
        ]
