"""Which changes of a use case ask for evidence, and of which two models. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

import msgspec

from schemas import bundle as compiled
from schemas.compile import compile_when_document
from schemas.rules import use_case as written
from schemas.yaml_source import Path

Kind = Literal["primary", "order", "rule", "split", "cost", "quality", "bar", "fallback"]

PERMITTED: Final[Mapping[Kind, frozenset[str]]] = {
    "primary": frozenset({"promote"}),
    "order": frozenset({"promote"}),
    "rule": frozenset({"promote", "split"}),
    "split": frozenset({"promote", "split"}),
    "cost": frozenset({"promote", "cost_fallback", "diversity_fallback"}),
    "quality": frozenset({"promote", "quality_fallback"}),
    "bar": frozenset({"promote", "quality_fallback"}),
    "fallback": frozenset({"promote", "quality_fallback", "cost_fallback", "diversity_fallback"}),
}
"""The actions of evidence, and what it permits besides, that allow a change."""
WORDS: Final[Mapping[Kind, str]] = {
    "primary": "as the primary",
    "order": "before it among the fallbacks",
    "rule": "as the first choice of a rule",
    "split": "as a part of the primary's work",
    "cost": "for when the money is spent",
    "quality": "as the better model of the quality bar",
    "bar": "behind another quality bar",
    "fallback": "as a fallback",
}


@dataclass(frozen=True, slots=True)
class Choices:
    """What of a use case decides which model answers; alike from its file and from a bundle."""

    kind: written.Class
    chain: tuple[str, ...]
    split: tuple[str, ...] = ()
    rules: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = ()
    """Condition, chain and split."""
    cheaper: tuple[str, ...] = ()
    better: tuple[str, ...] = ()
    checks: frozenset[str] = frozenset()
    min_score: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Move:
    kind: Kind
    incumbent: str
    candidate: str
    path: Path
    """Where in the use case's file it stands."""

    @property
    def permitted_by(self) -> frozenset[str]:
        return PERMITTED[self.kind]

    def __str__(self) -> str:
        return f"{self.candidate} {WORDS[self.kind]}, against {self.incumbent}"


def choices_in_file(content: written.UseCase) -> Choices:
    ceiling, bar = content.cost_ceiling, content.quality_bar
    return Choices(
        kind=content.kind,
        chain=(content.primary, *content.fallbacks),
        split=tuple(share.model for share in content.split),
        rules=tuple(
            (_condition(compile_when_document(rule.when)), (rule.primary, *rule.fallbacks),
             tuple(share.model for share in rule.split))
            for rule in content.rules
        ),
        cheaper=_models(ceiling.then if ceiling else None),
        better=_models(bar.then if bar else None),
        checks=frozenset(bar.checks if bar else ()),
        min_score=None if bar is None else bar.min_score,
    )  # fmt: skip


def choices_in_bundle(use_case: compiled.UseCase) -> Choices:
    ceiling, bar = use_case.ceiling, use_case.bar
    return Choices(
        kind=use_case.kind,
        chain=use_case.chain,
        split=tuple(share.model for share in use_case.split),
        rules=tuple(
            (_condition(rule.when), rule.chain, tuple(share.model for share in rule.split)) for rule in use_case.rules
        ),
        cheaper=_models(ceiling.then if ceiling else None),
        better=_models(bar.then if bar else None),
        checks=frozenset(bar.checks if bar else ()),
        min_score=None if bar is None else bar.min_score,
    )


def moves_between(before: Choices, after: Choices) -> Iterator[Move]:
    """What changes for the worse until it is shown. Taking a model out asks for nothing, nor does a canary: evidence
    may come of it."""
    old, new = before.chain, after.chain
    if old[0] != new[0]:
        yield Move("primary", old[0], new[0], ("primary",))
    yield from _order(old[1:], new[1:])
    known = {*old, *before.better}
    for number, model in enumerate(new[1:]):
        if model not in known:
            yield Move("fallback", new[0], model, ("fallbacks", number))
    for number, model in enumerate(after.split):
        if model not in before.split and model != old[0]:
            yield Move("split", old[0], model, ("split", number))
    yield from _of_rules(before, after)
    yield from _ways_out("cost", before.cheaper, after.cheaper, new[0], "cost_ceiling")
    yield from _ways_out("quality", before.better, after.better, new[0], "quality_bar")
    is_other_bar = (before.checks, before.min_score) != (after.checks, after.min_score)
    if is_other_bar and before.better and before.better == after.better and _is_lower(before, after):
        yield Move("bar", new[0], after.better[0], ("quality_bar",))


def _order(old: Sequence[str], new: Sequence[str]) -> Iterator[Move]:
    """Of those that stay fallbacks, the first that another one now goes before."""
    before, after = ([model for model in chain if model in old and model in new] for chain in (old, new))
    for one, other in zip(before, after, strict=False):
        if one != other:
            yield Move("order", one, other, ("fallbacks", new.index(other)))
            return


def _of_rules(before: Choices, after: Choices) -> Iterator[Move]:
    known = {when: (chain, split) for when, chain, split in before.rules}
    for number, (when, chain, split) in enumerate(after.rules):
        old_chain, old_split = known.get(when, (before.chain, before.split))
        path: Path = ("rules", number)
        if chain[0] not in (old_chain[0], after.chain[0]):
            yield Move("rule", old_chain[0], chain[0], (*path, "primary"))
        if when in known:
            for move in _order(old_chain[1:], chain[1:]):
                yield Move("order", move.incumbent, move.candidate, (*path, *move.path))
        for place, model in enumerate(split):
            if model not in (*old_split, old_chain[0]):
                yield Move("split", old_chain[0], model, (*path, "split", place))


def _ways_out(kind: Kind, old: Sequence[str], new: Sequence[str], primary: str, key: str) -> Iterator[Move]:
    for number, model in enumerate(new):
        if model not in old and model != primary:
            yield Move(kind, primary, model, (key, "then", number))
    for move in _order(old, new):
        yield Move("order", move.incumbent, move.candidate, (key, "then", move.path[1]))


def _is_lower(before: Choices, after: Choices) -> bool:
    """A higher bar only asks the better model more often."""
    return bool(before.checks - after.checks) or (after.min_score or 0) < (before.min_score or 0)


def _models(way_out: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return way_out if isinstance(way_out, tuple) else ()


def _condition(when: compiled.When) -> str:
    return msgspec.json.encode(when).decode()
