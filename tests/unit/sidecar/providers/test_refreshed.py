"""A credential that expires, under a clock turned by hand: renewed in time, by one fetch, with calls going on."""

import asyncio
import threading

import pytest

from sidecar.errors import CredentialRefused
from sidecar.providers.refreshed import PAUSE_AFTER_FAILURE_SECONDS, Fetched, Refreshed
from tests.fakes.ports import HandClock

LIFE, RENEW_BEFORE = 3600.0, 300.0


class Source:
    """Gives `token-1`, `token-2`, …, each good for an hour; or fails; or takes its time."""

    def __init__(self) -> None:
        self.fetches = 0
        self.is_down = False
        self.may_end = threading.Event()
        self.may_end.set()
        self.threads: set[int] = set()

    def fetch(self, now: float) -> Fetched[str]:
        self.fetches += 1
        number = self.fetches
        self.threads.add(threading.get_ident())
        assert self.may_end.wait(10)
        if self.is_down:
            raise CredentialRefused("the source is down")
        return Fetched(f"token-{number}", now + LIFE - RENEW_BEFORE, now + LIFE)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def token(source: Source, clock: HandClock) -> Refreshed[str]:
    return Refreshed(source.fetch, clock)


async def background() -> None:
    """Until whatever runs beside this test has ended."""
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


async def test_it_is_fetched_once_off_the_loop_and_held(token: Refreshed[str], source: Source) -> None:
    assert await asyncio.gather(*(token.get() for _ in range(5))) == ["token-1"] * 5
    assert source.fetches == 1
    assert threading.get_ident() not in source.threads


async def test_it_is_renewed_before_it_expires_while_calls_go_on(
    token: Refreshed[str], source: Source, clock: HandClock
) -> None:
    await token.get()
    await clock.turn(LIFE - RENEW_BEFORE - 1)
    assert (await token.get(), source.fetches) == ("token-1", 1)
    await clock.turn(1)
    source.may_end.clear()
    assert await token.get() == "token-1", "no call waits while the old one is good"
    source.may_end.set()
    await background()
    assert (await token.get(), source.fetches) == ("token-2", 2)


async def test_calls_wait_for_a_new_one_once_it_has_expired(token: Refreshed[str], clock: HandClock) -> None:
    await token.get()
    await clock.turn(LIFE)
    assert await token.get() == "token-2"


async def test_a_source_that_fails_leaves_what_is_held_in_use_until_its_end(
    token: Refreshed[str], source: Source, clock: HandClock
) -> None:
    await token.get()
    source.is_down = True
    await clock.turn(LIFE - RENEW_BEFORE)
    assert await token.get() == "token-1"
    await background()
    assert await token.get() == "token-1"
    await clock.turn(RENEW_BEFORE)
    with pytest.raises(CredentialRefused, match="the source is down"):
        await token.get()
    source.is_down = False
    await clock.turn(PAUSE_AFTER_FAILURE_SECONDS)
    assert await token.get() == f"token-{source.fetches}"


async def test_a_source_that_fails_is_not_asked_by_every_call(
    token: Refreshed[str], source: Source, clock: HandClock
) -> None:
    source.is_down = True
    for _ in range(5):
        with pytest.raises(CredentialRefused):
            await token.get()
    assert source.fetches == 1
    await clock.turn(PAUSE_AFTER_FAILURE_SECONDS)
    with pytest.raises(CredentialRefused):
        await token.get()
    assert source.fetches == 2


async def test_a_caller_that_leaves_does_not_end_what_others_wait_for(token: Refreshed[str], source: Source) -> None:
    source.may_end.clear()
    leaving, staying = asyncio.create_task(token.get()), asyncio.create_task(token.get())
    await asyncio.sleep(0)
    leaving.cancel()
    source.may_end.set()
    assert await staying == "token-1"
    assert source.fetches == 1
    assert leaving.cancelled()
