"""Several publishers on one database: one sequence, whatever they do at once, and nothing lost with the database."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from controller.channel import Channel, NotPossible, accept, roll_back, set_pin
from controller.errors import ForeignKey, LedgerUnavailable
from controller.kept.database import SharedState
from controller.ledger.database import postgresql_at, sqlite_at
from controller.ledger.store import Ledger
from controller.publish import INLINE_BYTES, Publisher
from controller.sign import Signer
from schemas.bundle import Bundle
from tests.fakes.postgres import PostgresServer, postgres_server

MakeBundle = Callable[..., Bundle]
Join = Callable[..., Publisher]
BEGAN = 1_790_000_000


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "sqlite":
        database = sqlite_at(tmp_path / "ledger.db")
    else:
        database = postgresql_at(request.getfixturevalue("postgres").new_database())
    ledger = Ledger(database)
    yield ledger
    ledger.close()


@pytest.fixture
def join(books: Ledger, signer: Signer) -> Join:
    """One more publisher, which has read what is kept."""

    def make(signer: Signer = signer) -> Publisher:
        publisher = Publisher(SharedState(books, now=lambda: BEGAN), signer)
        publisher.restore()
        return publisher

    return make


async def test_what_one_publishes_the_others_serve_byte_for_byte(join: Join, make_bundle: MakeBundle) -> None:
    one, other = join(), join()
    for number, padding in enumerate((0, INLINE_BYTES)):
        published = await one.publish(make_bundle(f"r{number}", padding=padding))
        await other.catch_up()
        assert other.current is not None
        assert (other.current.body, other.current.bundle) == (published.body, published.bundle)
        assert published.event_id == f"{BEGAN}.{number + 1}"
    late = join()
    assert late.current is not None
    assert late.current.body == published.body
    assert late.channel == one.channel


async def test_who_did_not_hear_yet_decides_on_what_is_kept_and_not_on_what_it_knew(
    join: Join, make_bundle: MakeBundle
) -> None:
    one, other = join(), join()
    await one.publish(make_bundle("r1"))
    await one.publish(make_bundle("r2"))
    back = await other.change(lambda channel: roll_back(channel, "why", now=0.0))
    assert (back.pointer.seq, back.pointer.revision) == (3, "r1")
    with pytest.raises(NotPossible, match="nothing ran before"):
        await one.change(lambda channel: roll_back(channel, "why", now=0.0))
    await one.catch_up()
    assert one.pointer == back.pointer


async def test_of_many_changes_at_once_no_two_get_one_number(join: Join, make_bundle: MakeBundle) -> None:
    publishers = [join() for _ in range(3)]
    came = await asyncio.gather(
        *(
            publisher.publish(make_bundle(f"r{turn}.{at}"))
            for turn in range(8)
            for at, publisher in enumerate(publishers)
        )
    )
    assert sorted(one.pointer.seq for one in came) == list(range(1, 25))
    for publisher in publishers:
        await publisher.catch_up()
    assert {publisher.current and publisher.current.body for publisher in publishers} == {
        max(came, key=lambda one: one.pointer.seq).body
    }


async def test_of_a_pin_and_a_rollback_at_once_one_comes_first_and_the_other_knows_it(
    join: Join, make_bundle: MakeBundle
) -> None:
    one, other = join(), join()
    for revision in ("r1", "r2"):
        await one.publish(make_bundle(revision))
    named, _ = one.name(make_bundle("r2"))
    pinned, rolled_back = await asyncio.gather(
        one.change(lambda channel: set_pin(channel, named, "why", now=0.0, ttl_seconds=None)),
        other.change(lambda channel: roll_back(channel, "why", now=0.0)),
        return_exceptions=True,
    )
    await one.catch_up()
    assert not isinstance(pinned, BaseException)
    assert one.channel.pin is not None
    assert one.pointer is not None
    if isinstance(rolled_back, BaseException):
        assert isinstance(rolled_back, NotPossible), "a pin is set"
        assert one.pointer.seq == 2
    else:
        assert (rolled_back.pointer.seq, one.pointer.seq) == (3, 4)


async def test_a_key_of_its_own_serves_and_changes_nothing_and_does_not_start(
    join: Join, make_bundle: MakeBundle
) -> None:
    one, foreign = join(), join(Signer(bytes(32)))
    published = await one.publish(make_bundle())
    with pytest.raises(ForeignKey, match="need the same file"):
        await foreign.publish(make_bundle("r2"))
    await foreign.catch_up()
    assert foreign.current is not None
    assert foreign.current.body == published.body
    with pytest.raises(ForeignKey):
        join(Signer(bytes(32)))


async def test_a_new_key_that_knows_the_old_one_signs_anew_and_the_old_one_lets_it(
    join: Join, signer: Signer, make_bundle: MakeBundle
) -> None:
    old = join()
    await old.publish(make_bundle())
    new = join(Signer(bytes(32), earlier=[bytes(range(32))]))
    await new.catch_up()
    await old.catch_up()
    assert old.current is not None
    assert (old.current.pointer.seq, old.current.signed.key_id) == (2, Signer(bytes(32)).key_id)
    with pytest.raises(ForeignKey):
        await old.publish(make_bundle("r2"))
    assert (await new.publish(make_bundle("r2"))).pointer.seq == 3


@pytest.mark.parametrize("loss", ["DELETE FROM channel", "UPDATE channel SET version = version - 1"])
async def test_what_a_database_has_lost_comes_back_in_a_higher_epoch(
    books: Ledger, join: Join, make_bundle: MakeBundle, loss: str
) -> None:
    one, other = join(), join()
    await one.publish(make_bundle("r1"))
    pinned = await one.publish(make_bundle("r2"))
    named, _ = one.name(make_bundle("r1"))
    await one.change(lambda channel: set_pin(channel, named, "why", now=0.0, ttl_seconds=None))
    await other.catch_up()
    books.write(lambda connection: connection.execute(text(loss)))
    books.write(lambda connection: connection.execute(text("DELETE FROM shelf")))
    await other.catch_up()
    await one.catch_up()
    assert one.pointer is not None
    assert (one.pointer.epoch, one.pointer.seq) == (pinned.pointer.epoch + 1, 1)
    assert one.pointer == other.pointer
    assert one.pointer.revision == "r1"
    assert one.channel.pin is not None
    assert join().channel == one.channel


async def test_what_cannot_be_read_is_left_as_it_is_and_what_ran_runs_on(
    books: Ledger, join: Join, make_bundle: MakeBundle
) -> None:
    one, other = join(), join()
    await one.publish(make_bundle("r1"))
    books.write(lambda connection: connection.execute(text("UPDATE channel SET document = '{}', version = 9")))
    for publisher in (one, other):
        with pytest.raises(LedgerUnavailable, match="cannot be read"):
            await publisher.publish(make_bundle("r2"))
    assert one.pointer is not None
    assert one.pointer.revision == "r1"


async def test_a_revision_is_kept_once_and_goes_with_the_last_that_names_it(
    books: Ledger, join: Join, make_bundle: MakeBundle
) -> None:
    one = join()
    for number in range(12):
        named, data = one.name(make_bundle(f"r{number}"))

        def take(channel: Channel, named=named) -> Channel:  # type: ignore[no-untyped-def]
            return accept(channel, named, None)

        await one.change(take, {named.digest: data})
    on_the_shelf = books.read(lambda connection: connection.execute(text("SELECT digest FROM shelf")).scalars().all())
    assert sorted(on_the_shelf) == sorted({named.digest for named in one.channel.kept()})
