"""A credential that expires: fetched in a thread, renewed before its end while calls go on with what is held."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sidecar.errors import CredentialRefused
from sidecar.ports import Clock

Value = TypeVar("Value")

PAUSE_AFTER_FAILURE_SECONDS = 5.0
"""A source of credentials that fails is not asked again by every call."""


@dataclass(frozen=True, slots=True)
class Fetched(Generic[Value]):
    value: Value
    refresh_at: float
    """Unix seconds: from then on it is renewed in the background."""
    expires_at: float
    """Unix seconds: from then on calls wait for a new one."""


class Refreshed(Generic[Value]):
    """Asks its source once at a time, however many calls wait for it."""

    def __init__(self, fetch: Callable[[float], Fetched[Value]], clock: Clock) -> None:
        """`fetch` may block; it is given the time in Unix seconds, and raises CredentialRefused."""
        self._fetch = fetch
        self._clock = clock
        self._held: Fetched[Value] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._failure: CredentialRefused | None = None
        self._not_before = 0.0
        self.began = clock.now()

    async def get(self) -> Value:
        """Raises CredentialRefused when there is none that is still good, and none can be had."""
        now = self._clock.now()
        if self._held is None or now >= self._held.expires_at:
            # One caller that leaves must not end what the others wait for.
            await asyncio.shield(self._refresh(now))
        elif now >= self._held.refresh_at:
            self._refresh(now)
        if self._held is None or self._clock.now() >= self._held.expires_at:
            assert self._failure is not None, "a fetch ends with a credential or a failure"
            raise CredentialRefused(self._failure.message)
        return self._held.value

    def _refresh(self, now: float) -> asyncio.Future[None]:
        if self._refreshing is None or self._refreshing.done():
            if now < self._not_before:
                done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                done.set_result(None)
                return done
            self._refreshing = asyncio.create_task(self._fetch_once())
        return self._refreshing

    async def _fetch_once(self) -> None:
        try:
            self._held = await asyncio.to_thread(self._fetch, self._clock.now())
        except CredentialRefused as failure:
            self._failure = failure
            self._not_before = self._clock.now() + PAUSE_AFTER_FAILURE_SECONDS
