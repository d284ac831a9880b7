"""`Limits`: what the pipeline asks before a call and before each attempt, and tells at the end. Outlives every reload.

Everything is reserved before and settled after, by the call's id; what is settled twice counts once, and what is never
settled is released when the call must be over. Nothing is awaited while what was granted before lasts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isinf

import msgspec

from schemas.bundle import Caller
from schemas.bundle import Limits as LimitsDocument
from schemas.record import CallRecord
from schemas.spend import FleetSpend
from sidecar.errors import LimitReached
from sidecar.limiter.budgets import Budgets, MoneyHold, MoneyRefusal
from sidecar.limiter.places import Places
from sidecar.limiter.rates import Rates
from sidecar.limiter.scopes import Meters, Taken, closed, take_at_once
from sidecar.limits.estimates import OutputLengths
from sidecar.limits.fleet import FleetSize
from sidecar.limits.headers import limit_headers, retry_headers
from sidecar.limits.meters import RateMeter, SlotMeter
from sidecar.limits.money import Budget, MoneyBook, PurseKey
from sidecar.limits.rules import TOKENS, Kind, LimitRule, Refusal, Scope, rules_of
from sidecar.ports import Clock, LimitObserver, LimitStore
from sidecar.routing.plan import Spend
from sidecar.routing.snapshot import Target, UseCase

AFTER_DEADLINE_SECONDS = 60.0
"""A reservation that nobody settled is released this long after its call's deadline."""
UNLIMITED_CALL_SECONDS = 3600.0
"""The same for a call that no limit of its use case or caller looked at."""
SWEEP_SECONDS = 1.0
SETTLED_REMEMBERED = 4096
SPARE_SECONDS = 1.0
"""A limit that has let through less than so much of its rate beyond now has some to spare: half of a burst."""
SHADOW_BUDGET = "shadow.per_day"

UNITS: Mapping[Kind, str] = {"requests_per_minute": "requests", TOKENS: "tokens"}


class Admission(msgspec.Struct, frozen=True, gc=False):
    """A call that its use case and its caller may make."""

    headers: Mapping[str, str]
    """Where the rules that bind most stand, for the answer."""


@dataclass(slots=True)
class _Open:
    """A call in flight."""

    expires: float
    call: Taken
    attempt: Taken


class Limits:
    def __init__(
        self,
        *,
        clock: Clock,
        observer: LimitObserver,
        store: LimitStore | None = None,
        has_controller: bool = False,
    ) -> None:
        """`has_controller`: somebody is to tell what the fleet spends; without, this sidecar's own books are all."""
        self._clock = clock
        self._observer = observer
        self._is_alone = store is None
        self._fleet = FleetSize()
        self._book = MoneyBook(self._fleet, has_controller=has_controller)
        self._rates = Rates(clock, self._fleet, store, observer)
        self._places = Places(clock, self._fleet, store, observer)
        self._budgets = Budgets(clock, self._fleet, self._book, store, observer)
        self._lengths = OutputLengths()
        self._scopes: dict[tuple[Scope, str], Meters] = {}
        self._rate_meters: dict[str, RateMeter] = {}
        self._slot_meters: dict[str, SlotMeter] = {}
        """Under their rules' ids, for as long as the process lives: a rule that comes back goes on counting."""
        self._open: dict[str, _Open] = {}
        self._reserved: dict[str, tuple[float, MoneyHold]] = {}
        self._settled: dict[str, None] = {}

    async def admit(self, call_id: str, use_case: UseCase, caller: Caller | None, tokens: int) -> Admission:
        """Once per call, before its plan. `tokens`: input and expected output.

        Raises:
            LimitReached: of the use case or of the caller. Nothing is left reserved.
        """
        now = self._clock.monotonic()
        self.release(call_id)
        scopes: list[Meters] = []
        if use_case.limits is not None:
            scopes.append(self._scope("use_case", use_case.name, use_case.limits, now))
        if caller is not None and caller.limits is not None:
            scopes.append(self._scope("caller", caller.name, caller.limits, now))
        if not scopes:
            return NOT_LIMITED
        taken = await self._take(call_id, scopes, tokens, may_wait=True)
        if isinstance(taken, Refusal):
            raise self._reached(taken, scopes, tokens)
        expires = self._clock.monotonic() + use_case.timeouts.deadline + AFTER_DEADLINE_SECONDS
        self._open[call_id] = _Open(expires, taken, Taken())
        return Admission(self._headers(scopes))

    def limited_targets(self, targets: Sequence[Target], tokens: int, now: float) -> dict[str, str]:
        """Targets not to be planned now, each with its reason: for the plan, beside those that rest."""
        limited = {}
        sidecars = self._fleet.live(now)
        for target in targets:
            for scope in self._scopes_at(target, now):
                rule = closed(scope, tokens, sidecars, now) if self._is_alone else self._closed(scope, tokens, now)
                if rule is not None:
                    limited[target.key] = rule.reason
        return limited

    def _closed(self, scope: Meters, tokens: int, now: float) -> LimitRule | None:
        """As `closed`, by what the shared store has said."""
        for kind, meter in scope.rates.items():
            if self._rates.is_closed(meter, tokens if kind == TOKENS else 1, now):
                return meter.rule
        places = scope.places
        return places.rule if places is not None and self._places.is_full(places, now) else None

    async def take(self, call_id: str, target: Target, tokens: int) -> Refusal | None:
        """Before each attempt. A refusal skips the target; what the attempt before had taken is given back."""
        now = self._clock.monotonic()
        call = self._open.get(call_id)
        if call is not None:
            self._close(call.attempt, 0)
            call.attempt = Taken()
        scopes = self._scopes_at(target, now)
        if not scopes:
            return None
        taken = await self._take(call_id, scopes, tokens, may_wait=False)
        if isinstance(taken, Refusal):
            return taken
        if call is None:
            call = self._open[call_id] = _Open(now + UNLIMITED_CALL_SECONDS, Taken(), taken)
        call.attempt = taken
        return None

    async def take_spare(self, call_id: str, target: Target, tokens: int) -> str | None:
        """As `take`, for what must not stand in any caller's way: only where little is owed, and half of the places are
        free. The reason where that is not so."""
        now = self._clock.monotonic()
        for scope in self._scopes_at(target, now):
            for meter in scope.rates.values():
                if self._rates.standing(meter, now)[1] > SPARE_SECONDS:
                    return meter.rule.reason
            if scope.places is not None and not self._places.has_spare(scope.places, now):
                return scope.places.rule.reason
        refusal = await self.take(call_id, target, tokens)
        return None if refusal is None else refusal.rule.reason

    def reserve_shadow(self, call_id: str, use_case: UseCase, per_day: Decimal, day: str, usd: Decimal) -> bool:
        """Whether this sidecar's share of what the fleet may spend on the use case's shadow has room for this."""
        purse_key = PurseKey("shadow", use_case.name, day)
        now = self._clock.monotonic()
        if not self._book.fits(Budget(purse_key, per_day, SHADOW_BUDGET, "local_share"), usd, now):
            return False
        purse = self._book.purse(purse_key)
        purse.reserved += usd
        self._reserved[call_id] = (now + use_case.timeouts.deadline + AFTER_DEADLINE_SECONDS, MoneyHold((purse,), usd))
        return True

    def release_shadow(self, call_id: str) -> None:
        """It is not asked after all."""
        self._release_money(call_id)
        self.release(call_id)

    def settle(self, call_id: str, actual_tokens: int) -> None:
        """The call ended and used this many tokens."""
        call = self._open.pop(call_id, None)
        if call is not None:
            self._close(call.attempt, actual_tokens)
            self._close(call.call, actual_tokens)

    def release(self, call_id: str) -> None:
        """The call ended and used none."""
        self.settle(call_id, 0)

    def expect_output(self, use_case: str, max_output_tokens: int | None) -> int:
        """How long 19 of 20 answers are at most; never more than the call itself allows."""
        return self._lengths.expect(use_case, max_output_tokens)

    def spend(self, use_case: str, day: str) -> Spend:
        """For the plan."""
        return self._book.spend(use_case, day)

    async def reserve_money(
        self, call_id: str, use_case: UseCase, caller: Caller | None, day: str, estimate_usd: Decimal
    ) -> MoneyRefusal | None:
        """Once there is a plan. None: go on. Asked again, the later estimate counts."""
        self._release_money(call_id)
        held = await self._budgets.reserve(use_case, caller, day, estimate_usd)
        if isinstance(held, MoneyRefusal):
            return held
        if held is not None:
            expires = self._clock.monotonic() + use_case.timeouts.deadline + AFTER_DEADLINE_SECONDS
            self._release_money(call_id)
            self._reserved[call_id] = (expires, held)
        return None

    def settle_money(self, record: CallRecord) -> None:
        """Every record that is booked, whether money was reserved for it or not."""
        self._release_money(record.id)
        if record.id in self._settled:
            return
        self._settled[record.id] = None
        if len(self._settled) > SETTLED_REMEMBERED:
            del self._settled[next(iter(self._settled))]
        if record.shadow is not None:
            self._book.add_shadow(record.at[:10], record.use_case, _cost(record))
            return
        self._book.add(record.at[:10], record.use_case, record.caller, _cost(record))
        if record.usage is not None and not record.estimated:
            self._lengths.learn(record.use_case, record.usage.output_tokens)

    def shipped(self, records: Sequence[CallRecord]) -> None:
        """The controller has these in its books; to be told before the report that came with its receipt."""
        for record in records:
            if record.shadow is not None:
                self._book.acknowledged_shadow(record.at[:10], record.use_case, _cost(record))
                continue
            self._book.acknowledged(record.at[:10], record.use_case, record.caller, _cost(record))

    def fleet(self, document: FleetSpend, now: float) -> bool:
        """What the controller says of the fleet, at `now` (monotonic). False: it is older than what is known."""
        return self._book.report(document, now)

    async def run(self) -> None:
        """Releases what was never settled, and keeps the shared store told."""
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            await self.tidy()

    async def close(self) -> None:
        """Before the process ends: the shared store is told what was spent, and what was held goes back."""
        for meter in tuple(self._slot_meters.values()):
            await self._places.tell(meter)
        await self._budgets.tell()

    async def tidy(self) -> None:
        now = self._clock.monotonic()
        for call_id in [call_id for call_id, call in self._open.items() if call.expires <= now]:
            self.release(call_id)
        for call_id in [call_id for call_id, (expires, _) in self._reserved.items() if expires <= now]:
            self._release_money(call_id)
        for meter in tuple(self._slot_meters.values()):
            await self._places.renew(meter)
        await self._budgets.renew()

    async def _take(self, call_id: str, scopes: Sequence[Meters], tokens: int, *, may_wait: bool) -> Refusal | Taken:
        """On a refusal nothing stays taken."""
        if self._is_alone:
            now = self._clock.monotonic()
            taken = take_at_once(scopes, tokens, self._fleet.live(now), now, self._observer)
            if taken is not None:
                return taken
        return await self._take_in_turn(call_id, scopes, tokens, may_wait=may_wait)

    async def _take_in_turn(
        self, call_id: str, scopes: Sequence[Meters], tokens: int, *, may_wait: bool
    ) -> Refusal | Taken:
        """Places first, as they may be waited for; then all rates at once."""
        part, is_taken = Taken(), False
        try:
            for scope in scopes:
                if scope.places is not None:
                    entered = await self._places.enter(scope.places, call_id, may_wait=may_wait)
                    if isinstance(entered, Refusal):
                        return entered
                    if entered:
                        part.places.append(scope.places)
            taken = await self._rates.take([need for scope in scopes for need in scope.needs(tokens)])
            if isinstance(taken, Refusal):
                return taken
            part.charges, is_taken = taken, True
            return part
        finally:
            if not is_taken:
                self._close(part, 0)

    def _close(self, part: Taken, tokens: int) -> None:
        """Places are left; tokens are corrected to what was used; a request stays a request."""
        for meter in part.places:
            self._places.leave(meter)
        for charge in part.charges:
            if charge.meter.counts_tokens:
                self._rates.correct(charge, tokens)
        part.places, part.charges = [], []

    def _scopes_at(self, target: Target, now: float) -> list[Meters]:
        scopes = []
        if target.endpoint.limits is not None:
            scopes.append(self._scope("provider", target.provider, target.endpoint.limits, now))
        if target.limits is not None:
            scopes.append(self._scope("model", target.model, target.limits, now))
        return scopes

    def _scope(self, scope: Scope, name: str, limits: LimitsDocument, now: float) -> Meters:
        """Meters are kept under their names: a reload that changes a rule goes on with what is counted."""
        known = self._scopes.get((scope, name))
        if known is not None and (known.limits is limits or known.limits == limits):
            return known
        made = self._scopes[scope, name] = Meters(limits, {}, None)
        for kind, rule in rules_of(scope, name, limits).items():
            if kind == "concurrency":
                made.places = self._slot_meters.setdefault(rule.id, SlotMeter(rule))
                made.places.rule = rule
            else:
                made.rates[kind] = self._rate_meters.setdefault(rule.id, RateMeter(rule))
                made.rates[kind].adopt(rule, now)
        return made

    def _headers(self, scopes: Sequence[Meters]) -> dict[str, str]:
        """For requests and for tokens: of the rule that has the least left, as a part of its limit."""
        now, headers = self._clock.monotonic(), dict[str, str]()
        for kind, unit in UNITS.items():
            meters = [
                meter for scope in scopes if (meter := scope.rates.get(kind)) is not None and meter.rule.is_enforced
            ]
            if len(meters) == 1:
                headers |= limit_headers(unit, meters[0].rule.limit, *self._rates.standing(meters[0], now))
            elif meters:
                standings = [(meter.rule.limit, *self._rates.standing(meter, now)) for meter in meters]
                headers |= limit_headers(unit, *min(standings, key=lambda standing: standing[1] / standing[0]))
        return headers

    def _reached(self, refusal: Refusal, scopes: Sequence[Meters], tokens: int) -> LimitReached:
        rule, headers = refusal.rule, self._headers(scopes)
        what = f"{rule.limit} {rule.kind.replace('_', ' ')}" if rule.kind != "concurrency" else f"{rule.limit} calls"
        if isinf(refusal.wait_seconds):
            message = f"{rule.id}: this call alone needs about {tokens} tokens, more than its limit of {what}"
            headers["x-should-retry"] = "false"
            return LimitReached(message, rule=rule.id, retry_after_seconds=None, headers=headers)
        retry = retry_headers(refusal.wait_seconds)
        message = f"{rule.id}: the limit of {what} is reached; try again in {retry['retry-after']} s"
        headers |= retry
        return LimitReached(message, rule=rule.id, retry_after_seconds=refusal.wait_seconds, headers=headers)

    def _release_money(self, call_id: str) -> None:
        reserved = self._reserved.pop(call_id, None)
        if reserved is not None:
            self._budgets.release(reserved[1])


NOT_LIMITED = Admission({})


def _cost(record: CallRecord) -> Decimal:
    return (record.cost_usd or Decimal(0)) + record.wasted_usd
