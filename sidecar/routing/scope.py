"""A use case narrowed to the targets that a kind of call may choose from. Pure: what is narrowed is the rules."""

from collections.abc import Callable, Collection
from dataclasses import replace

from schemas.bundle import Capability, DialectName
from sidecar.routing.facts import Facts
from sidecar.routing.snapshot import Chain, Skipped, Target, UseCase

OTHER_MODEL = "other_model"
"""Why a target is skipped that could answer, but not in place of the first."""

EMBEDDING_DIALECTS: frozenset[DialectName] = frozenset({"gemini", "openai"})
"""Those that have embeddings."""

Bar = Callable[[Target], str | None]
"""Why a target must not be chosen, or None."""


def speaking(use_case: UseCase, dialects: Collection[DialectName]) -> UseCase:
    """Targets of these dialects alone: for calls that are not translated."""

    def bar(target: Target) -> str | None:
        return None if target.dialect in dialects else "dialect"

    return _narrowed(use_case, lambda _chain: bar)


def one_model(use_case: UseCase, capability: Capability, dialects: Collection[DialectName]) -> UseCase:
    """One model with all its doors: for calls whose answers are of use only beside those of the same model, as vectors
    are.

    Each chain keeps its first model that has the capability, at its providers of these dialects. Which one that is
    depends on the rules alone: an outage or a spent ceiling does not move a call to another model.
    """

    def misfit(target: Target) -> str | None:
        if capability not in target.capabilities:
            return f"capability.{capability}"
        return None if target.dialect in dialects else "dialect"

    def bar_of(chain: Chain) -> Bar:
        first = next((target.model for target in chain.targets if misfit(target) is None), None)
        return lambda target: misfit(target) or (None if target.model == first else OTHER_MODEL)

    return _narrowed(use_case, bar_of)


def embedding_targets(use_case: UseCase) -> UseCase:
    return one_model(use_case, "embeddings", EMBEDDING_DIALECTS)


def for_facts(use_case: UseCase, facts: Facts) -> UseCase:
    """As a call of these facts finds it: embeddings calls alone need that capability."""
    return embedding_targets(use_case) if "embeddings" in facts.needs else use_case


def _narrowed(use_case: UseCase, bar_of: Callable[[Chain], Bar]) -> UseCase:
    """A ceiling's own chain is held to the bar of the use case's; where nothing of it is left, the ceiling refuses.

    What is asked beside chat belongs to no conversation, so it draws no lots and stays nowhere; and no bar is
    meant for it.
    """
    bar = bar_of(use_case.chain)
    ceiling = use_case.ceiling
    if ceiling is not None and ceiling.then is not None:
        then = _without(ceiling.then, bar)
        ceiling = replace(ceiling, then=then if then.targets else None)
    rules = tuple(replace(rule, chain=_without(rule.chain, bar_of(rule.chain))) for rule in use_case.rules)
    return replace(
        use_case,
        chain=_without(use_case.chain, bar),
        rules=rules,
        ceiling=ceiling,
        bar=None,
        sticky=False,
        follows_conversations=False,
    )


def _without(chain: Chain, bar: Bar) -> Chain:
    kept, barred = [], list(chain.barred)
    for target in chain.targets:
        reason = bar(target)
        if reason is None:
            kept.append(target)
        else:
            barred.append(Skipped(target.model, target.provider, reason))
    return Chain(tuple(kept), tuple(barred))
