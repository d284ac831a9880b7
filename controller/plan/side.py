"""One revision's rules, asked about recorded calls: the sidecar's own plan, with everything healthy.

Calls come in the order of time: conversations stay and ceilings fill as they would have. Equal questions are
asked once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from controller.plan.recorded import RecordedCall
from schemas.bundle import Bundle, When
from schemas.bundle import UseCase as UseCaseDocument
from schemas.record import CallFacts
from sidecar.routing.conversations import Conversations, conversation_key
from sidecar.routing.facts import Facts
from sidecar.routing.plan import PER_REQUEST, Plan, Spend, plan
from sidecar.routing.scope import embedding_targets
from sidecar.routing.snapshot import Ceiling, Target, UseCase, build_snapshot

REMEMBERED_PLANS: Final = 100_000
NOTHING: Final = Decimal(0)
NO_USE_CASE: Final = "no_use_case"
NO_TARGET: Final = "no_target"
PINNED: Final = "pinned"


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """Where a call would go first."""

    target: Target | None
    """None: it would be refused."""
    reason: str
    """As a plan says it: `primary`, `rules[0]`, `canary`, …; or why it would be refused."""
    ceiling: str = ""
    """The ceiling that had a say, as `cost_ceiling.per_day`."""


@dataclass(slots=True)
class _Spent:
    """Of one use case, in the day and the month of its newest call."""

    day: str = ""
    per_day: Decimal = NOTHING
    per_month: Decimal = NOTHING


@dataclass(slots=True)
class _Asked:
    """A use case with what its plans can depend on."""

    use_case: UseCase
    edges: tuple[int, ...]
    """Between two of these, the number of input tokens makes no difference."""
    by_exact_tokens: bool
    by_agent: bool
    by_caller: bool
    by_minute: bool
    by_lot: bool
    spent: _Spent = field(default_factory=_Spent)


class Side:
    """Raises `BundleRefused`, when it is made: rules that cannot be compiled."""

    def __init__(self, bundle: Bundle, priced_on: str, resting: Mapping[str, str] | None = None) -> None:
        """
        Args:
            priced_on: the ISO day whose prices count.
            resting: provider, model or `model@provider` → why nobody is to call it, as in an outage.
        """
        self.bundle = bundle
        self._resting = resting or {}
        self.priced_on = priced_on
        self._snapshot = build_snapshot(bundle)
        self._asked: dict[tuple[str, bool], _Asked | None] = {}
        self._plans: dict[Hashable, Decision] = {}
        self._conversations = Conversations()

    def decide(self, call: RecordedCall, facts: CallFacts, at: datetime) -> Decision:
        """What these rules say to the call, after all the calls before it."""
        if call.reason == PINNED:
            return self._pinned(call)
        asked = self._use_case(call.use_case, "embeddings" in facts.needs)
        if asked is None:
            return Decision(None, NO_USE_CASE)
        use_case = asked.use_case
        conversation = _conversation_of(call) if use_case.follows_conversations else ""
        answered_by = self._staying(use_case, conversation, at)
        spend = _spend_at(asked.spent, call.at[:10])
        key = (
            call.use_case,
            facts.input_tokens if asked.by_exact_tokens else _place(asked.edges, facts.input_tokens),
            facts.max_output_tokens if asked.by_exact_tokens else None,
            facts.needs,
            call.stream,
            call.agent if asked.by_agent else "",
            call.caller if asked.by_caller else "",
            tuple(facts.headers.items()),
            tuple(facts.metadata.items()),
            call.at[:16] if asked.by_minute else call.at[:10] if asked.by_exact_tokens else "",
            conversation if asked.by_lot else "",
            answered_by,
            _level(use_case.ceiling, spend),
        )
        decision = self._plans.get(key)
        if decision is None:
            asked_facts = _facts(call, facts, conversation)
            decision = _decision(
                plan(use_case, asked_facts, resting=self._resting, spend=spend, at=at, answered_by=answered_by)
            )
            if len(self._plans) >= REMEMBERED_PLANS:
                self._plans.clear()
            self._plans[key] = decision
        if use_case.sticky and decision.target is not None:
            self._conversations.note(use_case.name, conversation, decision.target.key, at.timestamp())
        return decision

    def spend(self, call: RecordedCall, cost: Decimal) -> None:
        """What the call cost counts against the ceilings of the calls after it."""
        for is_embedding in (False, True):
            asked = self._asked.get((call.use_case, is_embedding))
            if asked is not None:
                spent = asked.spent
                spent.per_day += cost
                spent.per_month += cost
                return

    def _use_case(self, name: str, is_embedding: bool) -> _Asked | None:
        key = (name, is_embedding)
        if key not in self._asked:
            known = self._snapshot.use_cases.get(name)
            other = self._asked.get((name, not is_embedding))
            if known is None:
                self._asked[key] = None
            else:
                scoped = embedding_targets(known) if is_embedding else known
                asked = _asked_of(scoped, self.bundle.use_cases[name])
                if other is not None:
                    asked.spent = other.spent
                self._asked[key] = asked
        return self._asked[key]

    def _staying(self, use_case: UseCase, conversation: str, at: datetime) -> str | None:
        if not use_case.sticky:
            return None
        return self._conversations.target_of(use_case.name, conversation, at.timestamp())

    def _pinned(self, call: RecordedCall) -> Decision:
        doors = self._snapshot.targets.get(call.model, ())
        found = next((door for door in doors if door.provider == call.provider), None)
        return Decision(None, "unknown_target") if found is None else Decision(found, PINNED)


def _asked_of(use_case: UseCase, document: UseCaseDocument) -> _Asked:
    chains = [use_case.chain, *(rule.chain for rule in use_case.rules)]
    if use_case.ceiling is not None and use_case.ceiling.then is not None:
        chains.append(use_case.ceiling.then)
    groups = [group for chain in chains for group in (chain.targets, *(arm.targets for arm in chain.arms))]
    targets = [target for group in groups for target in group]
    whens = [rule.when for rule in document.rules]
    return _Asked(
        use_case,
        edges=tuple(sorted({*(target.context_window for target in targets), *_bounds(whens)})),
        by_exact_tokens=use_case.ceiling is not None and use_case.ceiling.per_request is not None,
        by_agent=any(when.agent for when in whens),
        by_caller=any(when.caller for when in whens),
        by_minute=any(when.hours is not None for when in whens),
        by_lot=any(chain.arms for chain in chains),
    )


def _bounds(whens: list[When]) -> set[int]:
    ranges = [when.input_tokens for when in whens if when.input_tokens is not None]
    return {bound for tokens in ranges for bound in (tokens.over, tokens.under) if bound is not None}


def _place(edges: tuple[int, ...], tokens: int) -> tuple[int, int]:
    """An edge itself is a place of its own: whether it belongs to the side above or below, the plan says."""
    return bisect_left(edges, tokens), bisect_right(edges, tokens)


def _conversation_of(call: RecordedCall) -> str:
    """Where nobody looked at conversations when it was recorded, each call is one of its own."""
    return call.conversation or conversation_key(named=None, call=call.id)


def _facts(call: RecordedCall, facts: CallFacts, conversation: str) -> Facts:
    return Facts(
        input_tokens=facts.input_tokens,
        max_output_tokens=facts.max_output_tokens,
        needs=frozenset(facts.needs),  # type: ignore[arg-type]  # a capability that these rules do not know fits nobody
        stream=call.stream,
        agent=call.agent,
        caller=call.caller,
        headers=facts.headers,
        metadata=facts.metadata,
        conversation=conversation,
    )


def _decision(made: Plan) -> Decision:
    by_request = PER_REQUEST if any(item.reason == PER_REQUEST for item in made.skipped) else ""
    if not made.steps:
        return Decision(None, made.refusal or NO_TARGET, made.refusal or by_request)
    first = made.steps[0]
    ceiling = first.reason if first.reason.startswith("cost_ceiling.") else by_request
    return Decision(first.target, first.reason, ceiling)


def _spend_at(spent: _Spent, day: str) -> Spend:
    if day != spent.day:
        if day[:7] != spent.day[:7]:
            spent.per_month = NOTHING
        spent.day, spent.per_day = day, NOTHING
    return Spend(spent.per_day, spent.per_month)


def _level(ceiling: Ceiling | None, spend: Spend) -> tuple[bool, ...]:
    """Which amounts are spent: all that a plan asks of the money."""
    if ceiling is None:
        return ()
    hard = ceiling.hard
    pairs = (
        (ceiling.per_day, spend.per_day),
        (ceiling.per_month, spend.per_month),
        (hard.per_day, spend.per_day),
        (hard.per_month, spend.per_month),
    )
    return tuple(amount is not None and so_far >= amount for amount, so_far in pairs)
