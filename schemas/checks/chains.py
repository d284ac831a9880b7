"""Chains: whether they can answer at all, and whether one vendor's outage ends them."""

from collections.abc import Iterator
from datetime import date

from schemas.bundle import SERVED_DIALECTS
from schemas.checks.chain_members import EVERY_CALL, Chain, chains_of, ways_out_of
from schemas.checks.severity import severity_for
from schemas.compile import merged_retry, merged_timeouts
from schemas.problems import Problem
from schemas.rules.model import Model
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.rules.use_case import Requires, UseCase, When

_NOTHING = Requires()
MUCH_SMALLER = 4
"""Windows of models that stand in for each other differ by up to about this factor."""


def chains_do_not_repeat(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case in rules.use_cases.values():
        for chain in (*chains_of(use_case.content), *ways_out_of(use_case.content)):
            seen: set[str] = set()
            for path, model in chain.members:
                if model in seen:
                    message = f'"{model}" is already in this chain'
                    yield use_case.problem(path, "repeated-model", message, "remove it, or name another model")
                seen.add(model)


def requirements_can_be_met(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case in rules.use_cases.values():
        requires = use_case.content.requires
        for chain in chains_of(use_case.content):
            yield from _unmet(rules, use_case, chain, requires, EVERY_CALL)
        for chain in ways_out_of(use_case.content):
            yield from _unmet(rules, use_case, chain, requires, EVERY_CALL)
        for chain in chains_of(use_case.content):
            if chain.when.needs or chain.when.input_tokens:
                yield from _unmet(rules, use_case, chain, _NOTHING, chain.when)


def _unmet(
    rules: RuleSet, use_case: RuleFile[UseCase], chain: Chain, requires: Requires, when: When
) -> Iterator[Problem]:
    if any(model not in rules.models for model in chain.models):
        return  # An unknown or unreadable model is reported as such; what it could do is not known.
    lacking = {model: what_lacks(rules, rules.models[model].content, requires, when) for model in chain.models}
    if all(lacking.values()):
        reasons = "; ".join(f"{model}: {lack}" for model, lack in lacking.items())
        message = f"no model of this chain can ever serve: {reasons}"
        yield use_case.problem(chain.path, "requirement-never-met", message, "add a model that can, or require less")
        return
    for path, model in chain.members:
        if lack := lacking[model]:
            message = f'"{model}" will always be skipped: {lack}'
            yield use_case.problem(path, "always-skipped", message, severity="warning")


def what_lacks(rules: RuleSet, model: Model, requires: Requires, when: When) -> str:
    """Why no call that must meet these can ever go to this model; empty where one can."""
    needed = {*requires.capabilities, *when.needs}
    if missing := sorted(needed.difference(model.capabilities)):
        return f"it cannot do {', '.join(missing)}"
    over = when.input_tokens.over if when.input_tokens else None
    if over is not None and over >= model.context_window:
        return f"its context window is {model.context_window} tokens"
    providers = [rules.providers.get(door.provider) for door in model.served_by]
    if any(provider is None for provider in providers):
        return ""
    served = [p.content for p in providers if p is not None and p.content.dialect in SERVED_DIALECTS]
    if not served:
        return "this version does not call its providers yet"
    offers = [provider.data for provider in served]
    in_region = [data for data in offers if not requires.regions or set(data.regions) & set(requires.regions)]
    if not in_region:
        return f"no provider of it is in {' or '.join(requires.regions)}"
    if requires.zero_retention and not any(data.zero_retention for data in in_region):
        where = " there" if requires.regions else ""
        return f"no provider of it{where} promises zero retention"
    return ""


def fallbacks_hold_long_calls(rules: RuleSet, today: date) -> Iterator[Problem]:
    """Where every fallback is much smaller, a long call has none: the primary's outage ends it."""
    for use_case in rules.use_cases.values():
        for chain in chains_of(use_case.content):
            models = [rules.models.get(model) for model in chain.models]
            windows = [model.content.context_window for model in models if model is not None]
            if None in models or len(windows) < 2:
                continue
            longest = min(windows[0], _longest_call(use_case.content, chain))
            if (held := max(windows[1:])) * MUCH_SMALLER < longest:
                message = f"a call of more than {held} tokens has no fallback; the primary takes {windows[0]}"
                suggestion = f"add a fallback as large, or a rule for input_tokens: {{over: {held}}}"
                yield use_case.problem(chain.path, "context-shrinks", message, suggestion, severity="warning")


def _longest_call(use_case: UseCase, chain: Chain) -> int:
    """Input tokens that no call of this chain surely exceeds: its own condition, and the rules before it."""
    bounds = [chain.when.input_tokens.under] if chain.when.input_tokens else []
    before = use_case.rules[: int(chain.path[1])] if chain.path[0] == "rules" else use_case.rules
    for rule in before:
        tokens = rule.when.input_tokens
        if tokens is not None and tokens.under is None and rule.when.model_fields_set == {"input_tokens"}:
            bounds.append(tokens.over)
    return min((bound for bound in bounds if bound is not None), default=2**63)


def chains_span_vendors(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case in rules.use_cases.values():
        content = use_case.content
        for chain in chains_of(content):
            models = [rules.models.get(model) for model in chain.models]
            vendors = {model.content.vendor for model in models if model is not None}
            if None in models or len(vendors) != 1 or _embeds(models[0]):
                continue
            (vendor,) = vendors
            if content.lock is None:
                message = f"every model of this chain is {vendor}'s: its outage is yours"
                suggestion = "add a fallback of another vendor, or a lock with its reason"
                severity = severity_for(content)
                yield use_case.problem(chain.path, "single-vendor", message, suggestion, severity=severity)
            elif content.lock.vendor != vendor:
                message = f"locked to {content.lock.vendor}, but this chain is {vendor}'s alone"
                yield use_case.problem(chain.path, "lock-differs", message)


def embeddings_keep_to_one_model(rules: RuleSet, today: date) -> Iterator[Problem]:
    """Vectors of two models cannot be compared: a call for embeddings goes to another provider, or is refused."""
    for use_case in rules.use_cases.values():
        for chain in chains_of(use_case.content):
            (_, first), *others = chain.members
            if _embeds(rules.models.get(first)):
                for path, model in others:
                    message = f'"{model}" never stands in for embeddings of "{first}"'
                    suggestion = f'serve "{first}" from another provider'
                    yield use_case.problem(path, "other-model", message, suggestion, severity="warning")


def _embeds(model: RuleFile[Model] | None) -> bool:
    return model is not None and set(model.content.capabilities) == {"embeddings"}


def chains_span_providers(rules: RuleSet, today: date) -> Iterator[Problem]:
    """Models of two vendors behind one account still go down together."""
    for use_case in rules.use_cases.values():
        for chain in chains_of(use_case.content):
            models = [rules.models.get(model) for model in chain.models]
            known = [model.content for model in models if model is not None]
            providers = {door.provider for model in known for door in model.served_by}
            if None not in models and len({model.vendor for model in known}) > 1 and len(providers) == 1:
                message = f"every model of this chain is served by {providers.pop()} alone"
                suggestion = "serve one of them from another provider"
                yield use_case.problem(chain.path, "single-provider", message, suggestion, severity="warning")


def deadlines_cover_the_chain(rules: RuleSet, today: date) -> Iterator[Problem]:
    """The worst case: every target in turn stays silent until its first-token timeout."""
    defaults = rules.platform.content.defaults
    for use_case in rules.use_cases.values():
        content = use_case.content
        timeouts = merged_timeouts(content.timeouts, defaults.timeouts)
        attempts = merged_retry(content.retry, defaults.retry).max_attempts
        for chain in chains_of(content):
            doors = sum(_doors(rules, model) for model in chain.models)
            doors += max((_doors(rules, share.model) for _, share in chain.arms), default=0)
            worst = min(doors, attempts) * timeouts.first_token
            if worst > timeouts.deadline:
                message = (
                    f"{min(doors, attempts)} attempts of {timeouts.first_token:g}s to the first token make {worst:g}s,"
                    f" but the deadline is {timeouts.deadline:g}s: the last targets may never be tried"
                )
                path = ("timeouts", "deadline") if content.timeouts.deadline else chain.path
                yield use_case.problem(
                    path, "deadline-too-short", message, "lower first_token or raise the deadline", severity="warning"
                )
                break


def _doors(rules: RuleSet, model: str) -> int:
    return len(rules.models[model].content.served_by) if model in rules.models else 0
