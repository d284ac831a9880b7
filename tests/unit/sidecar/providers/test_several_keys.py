"""Several keys of one provider, over HTTP: a refused or throttled key rests while the others serve the same attempt."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from schemas.bundle import Secret
from sidecar.errors import CredentialRefused, Throttled
from sidecar.providers.credentials import Credentials
from sidecar.providers.http import HttpUpstream
from sidecar.providers.own_client import OwnClient
from sidecar.routing.snapshot import Target
from tests.fakes import core_bundles as bundles
from tests.fakes.ports import HandClock
from tests.fakes.provider import Answer, FakeProvider, providing

ONE, TWO = "Bearer key-one", "Bearer key-two"


class Keys:
    """A provider with two keys, and the upstream client that shows them."""

    def __init__(self, fake: FakeProvider, upstream: HttpUpstream, clock: HandClock) -> None:
        self.fake = fake
        self.clock = clock
        self.upstream = upstream

    def target(self) -> Target:
        """As if rules were loaded anew for every call."""
        secrets = (Secret(env="KEY_ONE"), Secret(env="KEY_TWO"))
        snapshot = bundles.snapshot(
            providers={"one": bundles.provider(self.fake.url, api_keys=secrets)},
            models={"a": bundles.model("one")},
            chain=["a"],
        )
        return snapshot.targets["a"][0]

    async def call(self) -> int:
        answer = await self.upstream.send(self.target(), "/x", {}, b"{}", 1.0)
        await answer.read()
        answer.close()
        return answer.status

    @property
    def shown(self) -> list[str | None]:
        """Keys that the provider has seen since this was last asked."""
        seen = self.fake.values("authorization")
        self.fake.received.clear()
        return seen


@asynccontextmanager
async def two_keys(answers: Mapping[str, Answer]) -> AsyncIterator[Keys]:
    clock = HandClock()
    upstream = HttpUpstream(Credentials(), OwnClient(), clock=clock)
    async with providing(lambda received: answers.get(received.headers["authorization"], Answer())) as fake:
        yield Keys(fake, upstream, clock)
        await upstream.close()


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_ONE", "key-one")
    monkeypatch.setenv("KEY_TWO", "key-two")


async def test_good_keys_serve_in_turn() -> None:
    async with two_keys({}) as keys:
        assert [await keys.call() for _ in range(3)] == [200, 200, 200]
        assert keys.shown == [ONE, TWO, ONE]


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_the_attempt_goes_on_with_the_next_key_and_the_bad_one_rests(status: int) -> None:
    async with two_keys({ONE: Answer(status)}) as keys:
        assert [await keys.call() for _ in range(3)] == [200, 200, 200]
        assert keys.shown == [ONE, TWO, TWO, TWO]
        assert keys.upstream.keys_resting() == {"one": 1}
        await keys.clock.turn(5.0)
        assert keys.upstream.keys_resting() == {}
        assert [await keys.call() for _ in range(2)] == [200, 200]
        assert ONE in keys.shown


async def test_other_refusals_are_not_repeated_with_another_key() -> None:
    async with two_keys({ONE: Answer(400), TWO: Answer(500)}) as keys:
        assert [await keys.call() for _ in range(2)] == [400, 500]
        assert keys.shown == [ONE, TWO]


async def test_the_last_answer_stands_when_no_key_is_left_and_then_nobody_is_asked() -> None:
    async with two_keys({ONE: Answer(401), TWO: Answer(429, {"retry-after": "30"})}) as keys:
        assert await keys.call() == 429
        assert keys.shown == [ONE, TWO]
        with pytest.raises(Throttled) as throttled:
            await keys.call()
        assert throttled.value.retry_after_seconds == 30.0
        assert keys.shown == []


async def pieces() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


@pytest.mark.parametrize("held", [True, False])
async def test_what_passes_through_takes_the_next_key_where_its_body_can_be_sent_again(held: bool) -> None:
    async with two_keys({ONE: Answer(429)}) as keys:
        body = b"onetwo" if held else pieces()
        answer = await keys.upstream.relay(keys.target(), "POST", "/x", {}, body, 1.0)
        assert answer.status == (200 if held else 429)
        assert [received.body for received in keys.fake.received] == [b"onetwo"] * (2 if held else 1)
        assert keys.shown == ([ONE, TWO] if held else [ONE])
        answer.close()
        (await keys.upstream.relay(keys.target(), "GET", "/x", {}, b"", 1.0)).close()
        assert keys.shown == [TWO]


async def test_dead_keys_are_refused_without_a_call_until_one_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_keys({ONE: Answer(401), TWO: Answer(401)}) as keys:
        assert await keys.call() == 401
        with pytest.raises(CredentialRefused) as refused:
            await keys.call()
        assert "key-" not in refused.value.message
        monkeypatch.setenv("KEY_TWO", "key-new")
        assert await keys.call() == 200
        assert keys.shown == [ONE, TWO, "Bearer key-new"]


async def test_a_key_that_is_not_there_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEY_ONE")
    async with two_keys({}) as keys:
        assert [await keys.call() for _ in range(2)] == [200, 200]
        assert keys.shown == [TWO, TWO]
        monkeypatch.delenv("KEY_TWO")
        with pytest.raises(CredentialRefused, match="KEY_ONE"):
            await keys.call()
