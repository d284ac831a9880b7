"""Calls in flight at the same time: a place for each, and a short queue before them."""

import asyncio

from sidecar.limiter.flights import Flights
from sidecar.limits.fleet import FleetSize
from sidecar.limits.holdings import HoldAsk
from sidecar.limits.meters import SlotMeter
from sidecar.limits.rules import Refusal
from sidecar.limits.slots import QUEUE_SECONDS
from sidecar.ports import Clock, LimitObserver, LimitStore, StoreAway

FULL_SECONDS = 1.0
"""How long the store's word is believed that no place is left, and when a refused caller should come again."""
MOST_QUESTIONS = 4
"""Of one call. Others may be faster to a place; after so many it is as if the store were away."""
NO_BOUND = 1 << 40
KEY_SECONDS = 3600


class Places:
    def __init__(self, clock: Clock, fleet: FleetSize, store: LimitStore | None, observer: LimitObserver) -> None:
        self._clock = clock
        self._fleet = fleet
        self._store = store
        self._observer = observer
        self._flights = Flights()
        self._queued: dict[tuple[str, str], asyncio.Future[bool]] = {}
        """Rule's id and call's id → whether it was let in."""

    def is_full(self, meter: SlotMeter, now: float) -> bool:
        """What is known without asking."""
        if not meter.rule.is_enforced:
            return False
        needed = meter.slots.in_use + 1
        if self._leased:
            return bool(meter.holding.closed_seconds(needed, now))
        return needed > self._allowed_alone(meter, now)

    def has_spare(self, meter: SlotMeter, now: float) -> bool:
        """Half of this sidecar's share is free, and stays so with one more."""
        return 2 * (meter.slots.in_use + 1) <= meter.alone(self._fleet.live(now))

    async def enter(self, meter: SlotMeter, call_id: str, *, may_wait: bool) -> Refusal | bool:
        """False: in shadow, and no place was taken. Awaits only to ask the store, or in the queue."""
        rule = meter.rule
        allowed = await self._allowed(meter)
        self._wake(meter, meter.slots.admit(allowed))
        is_waiting = may_wait and rule.is_enforced
        if is_waiting or meter.slots.in_use < allowed:
            entry = meter.slots.enter(call_id, allowed)
            if entry == "in" or (entry == "queued" and await self._turn(meter, call_id)):
                self._observer.limited(rule.id, "allowed")
                return True
        if not rule.is_enforced:
            self._observer.limited(rule.id, "shadow_refused")
            return False
        self._observer.limited(rule.id, "refused")
        return Refusal(rule, FULL_SECONDS)

    def leave(self, meter: SlotMeter) -> None:
        if not meter.slots.has_queue:
            meter.slots.leave(0)
            return
        now = self._clock.monotonic()
        allowed = meter.holding.held if self._leased else self._allowed_alone(meter, now)
        self._wake(meter, meter.slots.leave(allowed))

    async def renew(self, meter: SlotMeter) -> None:
        """Tell the store from time to time."""
        if meter.holding.is_due(meter.slots.in_use, 0, self._clock.monotonic()):
            await self.tell(meter)

    async def tell(self, meter: SlotMeter) -> None:
        """What is still in use; the rest goes back."""
        if self._leased and meter.holding.has_news(meter.slots.in_use, 0):
            await self._hold(meter, 0)

    @property
    def _leased(self) -> bool:
        return self._store is not None and not self._store.is_away

    def _allowed_alone(self, meter: SlotMeter, now: float) -> int:
        if self._store is not None and meter.rule.when_away != "local_share":
            return NO_BOUND if meter.rule.when_away == "allow" else 0
        return meter.alone(self._fleet.live(now))

    async def _allowed(self, meter: SlotMeter) -> int:
        for _ in range(MOST_QUESTIONS):
            now, needed = self._clock.monotonic(), meter.slots.in_use + 1
            if not self._leased:
                break
            if meter.holding.covers(needed, 0, now) or meter.holding.closed_seconds(needed, now):
                return meter.holding.held
            if not await self._hold(meter, 1):
                break
        return self._allowed_alone(meter, self._clock.monotonic())

    async def _hold(self, meter: SlotMeter, more: int) -> bool:
        async def question() -> bool:
            return await self._question(meter, more)

        return await self._flights.ask(meter.rule.id, question)

    async def _question(self, meter: SlotMeter, more: int) -> bool:
        assert self._store is not None
        asked_at = self._clock.monotonic()
        sidecars = self._fleet.live(asked_at)
        ask: HoldAsk = meter.holding.ask(
            meter.rule.id, meter.rule.limit, 0,
            spent=0, keep=meter.slots.in_use, more=more, sidecars=sidecars, least=1, key_seconds=KEY_SECONDS,
            now=asked_at,
        )  # fmt: skip
        answered = False
        try:
            grant = await self._store.hold(ask)
            answered = True
        except StoreAway:
            self._observer.limited(meter.rule.id, "store_error")
        finally:
            if not answered:
                meter.holding.failed()
        if answered:
            meter.holding.granted(ask, grant, asked_at, self._clock.monotonic(), FULL_SECONDS)
        return answered

    async def _turn(self, meter: SlotMeter, call_id: str) -> bool:
        """Wait in the queue; whether a place was free in time."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queued[meter.rule.id, call_id] = turn
        timer = self._clock.call_later(QUEUE_SECONDS, lambda: None if turn.done() else turn.set_result(False))
        is_in = False
        try:
            is_in = await turn
        finally:
            timer.cancel()
            del self._queued[meter.rule.id, call_id]
            if not is_in and not meter.slots.give_up(call_id):
                self.leave(meter)  # let in as it left
        return is_in

    def _wake(self, meter: SlotMeter, admitted: list[str]) -> None:
        for call_id in admitted:
            turn = self._queued.get((meter.rule.id, call_id))
            if turn is None or turn.done():
                continue  # it is on its way out, and gives the place up itself
            turn.set_result(True)
