"""Redis or Valkey as what sidecars share. A call waits 50 ms for it at most, and not at all once it has been silent."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from sidecar.limits.blocks import RateAsk, RateGrant
from sidecar.limits.breaker import StoreBreaker
from sidecar.limits.holdings import HOLD_SECONDS, HoldAsk, HoldGrant
from sidecar.ports import Clock, StoreAway
from sidecar.stores.scripts import HOLD, TAKE

if TYPE_CHECKING:
    from redis.commands.core import AsyncScript

DEADLINE_SECONDS = 0.05
SOCKET_SECONDS = 1.0
"""A connection may take longer to open than a call would wait: it goes on, and the next call finds it open."""

log = logging.getLogger("pointsman.limits")


class RedisMissing(Exception):
    """The package `redis` is not installed."""


class RedisStore:
    """A `LimitStore`. One key per question, with a hash tag: it works on a cluster's nodes as on one server."""

    def __init__(self, url: str, holder: str, clock: Clock) -> None:
        """`holder`: this process, and no other one, nor an earlier one of the same sidecar.

        Raises:
            RedisMissing: the extra `redis` is not installed.
            ValueError: not a URL of a Redis.
        """
        try:
            from redis import exceptions
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError as error:
            raise RedisMissing("--redis-url needs the extra redis: pip install 'pointsman[redis]'") from error
        self._redis = Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS,
        )
        self._take: AsyncScript = self._redis.register_script(TAKE)
        self._hold: AsyncScript = self._redis.register_script(HOLD)
        self._failures = (exceptions.RedisError, OSError)
        self._holder = holder
        self._clock = clock
        self._breaker = StoreBreaker()
        self._opened = asyncio.Event()
        self._under_way: set[asyncio.Future[Any]] = set()

    @property
    def is_away(self) -> bool:
        return self._breaker.is_open

    async def take(self, ask: RateAsk) -> RateGrant:
        reply = await self._ask(self._take, ask.key, (ask.per_minute, ask.need, ask.want, ask.back))
        granted, wait, remaining, debt = reply
        return RateGrant(granted, wait / 1e6, remaining, debt / 1e6)

    async def hold(self, ask: HoldAsk) -> HoldGrant:
        seed = -1 if ask.seed is None else ask.seed
        is_granted, held, spent, others = await self._ask(
            self._hold,
            ask.key,
            (
                self._holder, ask.limit, seed, ask.spent, ask.told, ask.keep, ask.need, ask.least, ask.parts,
                int(HOLD_SECONDS * 1000), ask.key_seconds * 1000, ask.number,
            ),
        )  # fmt: skip
        if is_granted < 0:
            raise StoreAway(f"nothing is known of {ask.key}, neither by the store nor by the ledger")
        return HoldGrant(bool(is_granted), held, spent, others)

    async def run(self) -> None:
        """Opens the first connection, and probes a store that is away, so that no call has to."""
        await self._is_there()
        while True:
            await self._opened.wait()
            await self._clock.sleep(self._breaker.rest_seconds(self._clock.jitter()))
            if await self._is_there():
                self._opened.clear()
                self._breaker.answered()
                log.warning("store.back")

    async def close(self) -> None:
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._redis.aclose()

    async def _is_there(self) -> bool:
        try:
            await self._redis.ping()
        except self._failures as error:
            log.info("store.silent error=%s", type(error).__name__)
            return False
        return True

    async def _ask(
        self, script: "AsyncScript", key: str, arguments: tuple[int | str, ...]
    ) -> tuple[int, int, int, int]:
        """What takes too long goes on without us: its connection, once it stands, serves the next question."""
        if self._breaker.is_open:
            raise StoreAway("it has not answered of late")
        answer = asyncio.ensure_future(script(keys=(f"pointsman:{{{key}}}",), args=arguments))
        self._under_way.add(answer)
        answer.add_done_callback(self._ended)
        done, _ = await asyncio.wait((answer,), timeout=DEADLINE_SECONDS)
        if not done:
            raise self._away("no answer in time")
        try:
            first, second, third, fourth = answer.result()
        except self._failures as error:
            raise self._away(f"{type(error).__name__}: {error}") from error
        self._breaker.answered()
        return first, second, third, fourth

    def _away(self, why: str) -> StoreAway:
        if self._breaker.failed() and not self._opened.is_set():
            log.warning("store.away error=%s", why)
            self._opened.set()
        return StoreAway(why)

    def _ended(self, answer: "asyncio.Future[Any]") -> None:
        self._under_way.discard(answer)
        if not answer.cancelled():
            answer.exception()  # read here: whoever asked may have gone
