"""A canary from its first rung to its end, over a real ledger and a real publisher."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller.canaries.moves import stop
from controller.canaries.state import Canary
from controller.canaries.steps import CanarySteps
from controller.canaries.terms import Terms
from controller.channel import set_pin, settle
from controller.kept.folder import StateFolder
from controller.ledger.database import database_at
from controller.ledger.store import Ledger
from controller.ledger.times import time_text
from controller.publish import Publisher
from controller.sign import Signer
from schemas.bundle import Bundle
from schemas.record import AttemptRecord, CallRecord
from tests.fakes.canaries import terms

MakeBundle = Callable[..., Bundle]
MakeRecord = Callable[..., CallRecord]
QUICK = terms(percent=Decimal(50), ladder=(Decimal(50), Decimal(80), Decimal(100)), margin=0.1, planned_calls=400)
FAIL = {"quality": {"complete": "fail"}}
DEAR = {"cost_usd": Decimal("0.0048")}


@dataclass
class World:
    publisher: Publisher
    ledger: Ledger
    make_record: MakeRecord
    make_bundle: MakeBundle
    clock: list[float]
    booked: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The controller's own memory is gone."""
        self.steps = CanarySteps(self.publisher, self.ledger, now=lambda: self.clock[0])

    async def accept(self, *canaries: Terms, revision: str = "r1") -> None:
        named, data = self.publisher.name(self.make_bundle(revision))
        named = msgspec.structs.replace(named, canaries=canaries)
        await self.publisher.change(lambda channel: settle(channel, named), {named.digest: data})
        await self.look()

    async def call(self, candidate: int, incumbent: int, **of_candidate: Any) -> None:
        """So many calls on each side, good but for what the candidate's have otherwise."""
        records = []
        for arm, count, changes in (("new", candidate, of_candidate), ("m", incumbent, {})):
            for _ in range(count):
                self.booked += 1
                records.append(self.make_record(self.booked, **{
                    "at": time_text(self.clock[0]), "conversation": f"c-{self.booked}", "arm": arm, "model": arm,
                    "steering": self.canary.reason, "quality": {"complete": "pass"},
                    "attempts": (AttemptRecord(model=arm, provider="p", reason="r", outcome="ok", seconds=0.1),),
                } | changes))  # fmt: skip
        await self.ledger.book(records)

    async def look(self) -> None:
        self.clock[0] += 5.0
        await self.steps.look()

    @property
    def canary(self) -> Canary:
        (canary,) = self.publisher.channel.canaries
        return canary

    @property
    def stands(self) -> tuple[str, Decimal]:
        return self.canary.state, self.canary.percent

    @property
    def steered(self) -> tuple[Decimal, str]:
        """As sidecars are told."""
        assert self.publisher.pointer is not None
        (steered,) = self.publisher.pointer.steering.values()
        return steered.canary_percent, steered.reason


@pytest.fixture
async def world(
    tmp_path: Path, publisher: Publisher, make_record: MakeRecord, make_bundle: MakeBundle
) -> AsyncIterator[World]:
    clock = [1793880000.0]
    ledger = Ledger(database_at(None, tmp_path / "ledger.db"), now=lambda: clock[0])
    yield World(publisher, ledger, make_record, make_bundle, clock)
    ledger.close()


async def test_a_good_model_climbs_by_proof_alone_over_a_restart_and_is_promoted(
    world: World, tmp_path: Path, signer: Signer
) -> None:
    await world.accept(QUICK)
    assert world.steered == (50, "canary new at 50 % (step 1): where its rules begin")
    await world.look()
    assert "conversations: 0" in world.steps.waits_for["support"]
    await world.call(200, 200)
    await world.look()
    assert world.stands == ("running", 80)
    for _ in range(3):
        await world.look()
    assert world.stands == ("running", 80), "each step has calls of its own"

    world.publisher = Publisher(StateFolder(tmp_path, epoch=99), signer)
    world.publisher.restore()
    world.restart()
    await world.look()
    assert world.stands == ("running", 80)
    await world.call(800, 200)
    await world.look()
    assert world.stands == ("promoted", 100)
    assert world.steered[1].startswith(
        "canary new promoted (step 3): not worse by 10 points: 100.00% of 800 calls good"
    )
    seq = world.publisher.pointer and world.publisher.pointer.seq
    await world.look()
    await world.accept(QUICK, revision="r2")
    assert world.stands == ("promoted", 100), "until a commit makes it the primary"
    await world.accept(revision="r3")
    assert world.publisher.pointer is not None
    assert (world.publisher.pointer.steering, world.publisher.pointer.seq > (seq or 0)) == ({}, True)


@pytest.mark.parametrize(
    ("of_candidate", "says"),
    [(FAIL, "answers cut or refused: 100.00% of its calls"), (DEAR, "spend: a call costs 0.004800 USD, 0.001200 by m")],
)
async def test_a_worse_model_is_taken_back_and_stays_back_with_its_reason_before_the_fleet(
    world: World, of_candidate: dict[str, Any], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    await world.accept(QUICK)
    await world.call(150, 150, **of_candidate)
    await world.look()
    assert world.stands == ("rolled_back", 0)
    assert world.steered[0] == 0
    assert says in world.steered[1]
    assert world.publisher.pointer is not None
    assert says in world.publisher.pointer.reason
    assert "canary.rolled_back use_case=support model=new percent=0" in caplog.text
    await world.call(500, 500)
    await world.look()
    await world.accept(QUICK, revision="r2")
    assert world.stands == ("rolled_back", 0)


async def test_one_conversation_that_fails_again_and_again_takes_nothing_back(world: World) -> None:
    await world.accept(QUICK)
    loop = AttemptRecord(model="new", provider="p", reason="canary", outcome="rejected", seconds=0.1)
    await world.call(250, 250)
    await world.call(400, 0, conversation="loop", outcome="rejected", attempts=(loop,), usage=None, cost_usd=None)
    await world.look()
    assert world.stands == ("running", 50)
    assert "38.46% of 650 calls good" in world.steps.waits_for["support"]


async def test_two_controllers_that_judge_the_same_figures_climb_once(world: World) -> None:
    await world.accept(QUICK)
    await world.call(200, 200)
    other = CanarySteps(world.publisher, world.ledger, now=lambda: world.clock[0])
    await asyncio.gather(world.steps.look(), other.look())
    assert (world.stands, world.canary.step) == (("running", 80), 2)


async def test_a_person_s_stop_wins_and_nothing_climbs_while_suspended_or_pinned(world: World) -> None:
    await world.accept(QUICK)
    await world.call(200, 200)
    await world.publisher.change(lambda channel: msgspec.structs.replace(channel, suspended="an audit"))
    await world.look()
    assert (world.stands, world.steps.waits_for) == (
        ("running", 50), {"support": "resume: the rollout is suspended"},
    )  # fmt: skip
    stable = world.publisher.channel.stable
    assert stable is not None
    await world.publisher.change(
        lambda channel: set_pin(
            msgspec.structs.replace(channel, suspended=None), stable, "why", now=0.0, ttl_seconds=None
        )
    )
    await world.look()
    assert world.steps.waits_for == {"support": "unpin: a bundle is pinned"}
    await world.call(200, 200, **FAIL)
    await world.look()
    assert world.stands == ("rolled_back", 0), "the way back is always open"

    await world.accept(msgspec.structs.replace(QUICK, margin=0.2), revision="r2")
    await world.publisher.change(lambda channel: stop(channel, "support", "an incident", now=world.clock[0]))
    await world.look()
    assert world.stands == ("stopped", 0)


async def test_on_its_last_rung_it_stays_and_says_so(world: World) -> None:
    await world.accept(msgspec.structs.replace(QUICK, ladder=()))
    await world.call(200, 200)
    await world.look()
    assert (world.stands, world.steps.waits_for) == (
        ("running", 50), {"support": "nothing: it is on the last rung of its ladder, and not worse"},
    )  # fmt: skip


async def test_figures_that_cannot_be_trusted_halt_it_where_it_is_and_still_take_it_back(world: World) -> None:
    await world.accept(QUICK)
    await world.call(400, 200)
    await world.look()
    assert world.stands == ("halted", 50)
    await world.call(400, 400)
    await world.look()
    assert (world.stands, world.steps.waits_for["support"]) == (
        ("halted", 50), "a person: its figures cannot be trusted",
    )  # fmt: skip
    await world.call(200, 200, **FAIL)
    await world.look()
    assert world.stands == ("rolled_back", 0)


async def test_a_ledger_that_is_away_holds_it(world: World) -> None:
    await world.accept(QUICK)
    await world.call(200, 200)
    ledger = world.ledger.database
    with ledger.writing.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE calls RENAME TO away")
    await world.look()
    assert world.steps.waits_for["support"].startswith("the ledger: ")
    with ledger.writing.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO calls")
    assert world.stands == ("running", 50)
    await world.look()
    assert world.stands == ("running", 80)
