"""A controller follows what others publish, and looks at the repository again when their acts hold it back no more."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.channel import lift_pin, set_pin
from controller.errors import ForeignKey
from controller.kept.database import SharedState
from controller.ledger.database import sqlite_at
from controller.ledger.store import Ledger
from controller.publish import Publisher
from controller.sign import Signer
from controller.together import follow
from schemas.bundle import Bundle

Join = Callable[..., Publisher]
HEARD_SECONDS = 10.0


@pytest.fixture
def join(tmp_path: Path, signer: Signer) -> Iterator[Join]:
    """A publisher that has read nothing yet."""
    ledger = Ledger(sqlite_at(tmp_path / "ledger.db"))
    yield lambda signer=signer: Publisher(SharedState(ledger, now=lambda: 7.0), signer)
    ledger.close()


async def test_what_another_controller_does_is_served_and_a_pin_that_it_lifts_is_a_reason_to_look_again(
    join: Join, make_bundle: Callable[..., Bundle]
) -> None:
    one, other = join(), join()
    await one.publish(make_bundle("r1"))
    published = await one.publish(make_bundle("r2"))
    looked = asyncio.Event()
    following = asyncio.create_task(follow(other, looked.set))
    async with asyncio.timeout(HEARD_SECONDS):
        heard = await other.newer_than("")
        assert heard is not None
        assert heard.body == published.body
        older = one.channel.past[0]
        pinned = await one.change(lambda channel: set_pin(channel, older, "why", now=0.0, ttl_seconds=None))
        heard = await other.newer_than(published.event_id)
        assert heard is not None
        assert heard.body == pinned.body
        assert not looked.is_set()
        await one.change(lift_pin)
        await looked.wait()
    assert other.channel.pin is None
    following.cancel()


async def test_a_foreign_key_that_is_found_after_the_start_ends_it(
    join: Join, make_bundle: Callable[..., Bundle]
) -> None:
    await join().publish(make_bundle())
    with pytest.raises(ForeignKey, match="need the same file"):
        await asyncio.wait_for(follow(join(Signer(bytes(32))), lambda: None), HEARD_SECONDS)
