"""A use case narrowed to one model with all its doors: for calls whose answers are of use only beside those of the same
model, as vectors are.
"""

from collections.abc import Collection
from dataclasses import replace

from schemas.bundle import Capability, DialectName
from sidecar.routing.snapshot import Chain, Skipped, Target, UseCase

OTHER_MODEL = "other_model"
"""Why a target is skipped that could answer, but not in place of the first."""


def one_model(use_case: UseCase, capability: Capability, dialects: Collection[DialectName]) -> UseCase:
    """Each chain keeps its first model that has the capability, at its providers of these dialects.

    Which one that is depends on the rules alone: an outage or a spent ceiling does not move a call to another model. A
    ceiling whose way out is other models has none left: it refuses.
    """

    def narrowed(chain: Chain, model: str | None) -> Chain:
        kept, barred = [], list(chain.barred)
        for target in chain.targets:
            reason = _bar(target, model, capability, dialects)
            if reason is None:
                kept.append(target)
            else:
                barred.append(Skipped(target.model, target.provider, reason))
        return Chain(tuple(kept), tuple(barred))

    def first_of(chain: Chain) -> str | None:
        return next((target.model for target in chain.targets if _fits(target, capability, dialects)), None)

    first = first_of(use_case.chain)
    ceiling = use_case.ceiling
    if ceiling is not None and ceiling.then is not None:
        then = narrowed(ceiling.then, first)
        ceiling = replace(ceiling, then=then if then.targets else None)
    rules = tuple(replace(rule, chain=narrowed(rule.chain, first_of(rule.chain))) for rule in use_case.rules)
    return replace(use_case, chain=narrowed(use_case.chain, first), rules=rules, ceiling=ceiling)


def _fits(target: Target, capability: Capability, dialects: Collection[DialectName]) -> bool:
    return capability in target.capabilities and target.dialect in dialects


def _bar(target: Target, model: str | None, capability: Capability, dialects: Collection[DialectName]) -> str | None:
    if capability not in target.capabilities:
        return f"capability.{capability}"
    if target.dialect not in dialects:
        return "dialect"
    return None if target.model == model else OTHER_MODEL
