"""A trial from its first sidecar to its end, over a real ledger."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller.channel import Policy, Superseded
from controller.fleet import Roster
from controller.kept.folder import StateFolder
from controller.ledger.database import database_at
from controller.ledger.store import Ledger
from controller.publish import Publisher
from controller.sign import Signer
from controller.stages import KNOWN_AGAIN_SECONDS, Stages
from schemas.bundle import Bundle, Served
from schemas.cohort import pointer_for
from schemas.record import AttemptRecord, CallRecord
from schemas.status import Activation, SidecarStatus

MakeBundle = Callable[..., Bundle]
MakeRecord = Callable[..., CallRecord]
POLICY = Policy(stages=(10, 50, 100), bake_seconds=60.0, min_calls=40)
FLEET = [f"pod-{number}" for number in range(24)]
MIN_SIDECARS = 20


@dataclass
class World:
    publisher: Publisher
    ledger: Ledger
    make_record: MakeRecord
    clock: list[float]
    fleet: list[str] = field(default_factory=lambda: list(FLEET))
    booked: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The controller's own memory is gone."""
        self.roster = Roster(lambda: self.clock[0])
        self.stages = Stages(self.publisher, self.roster, self.ledger, now=lambda: self.clock[0])

    def beat(self) -> None:
        for sidecar in self.fleet:
            self.roster.note_alive(sidecar)

    async def offer(self, bundle: Bundle) -> None:
        self.beat()
        await self.stages.offer(bundle, POLICY, MIN_SIDECARS, self.publisher.channel)

    def on_trial(self) -> set[str]:
        pointer = self.publisher.pointer
        assert pointer is not None
        return {name for name in self.fleet if pointer_for(pointer, name).revision != pointer.revision}

    async def call(self, count: int, of_trial: dict[str, Any] | None = None) -> None:
        """So many good calls on each side, but for what those on trial have otherwise."""
        pointer = self.publisher.pointer
        assert pointer is not None
        assert pointer.rollout is not None
        at = datetime.fromtimestamp(self.clock[0], UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for digest, changes in ((pointer.digest, {}), (pointer.rollout.digest, of_trial or {})):
            numbers = range(self.booked, self.booked + count)
            self.booked += count
            records = [self.make_record(number, bundle=digest, at=at, **changes) for number in numbers]
            await self.ledger.book(records)

    async def look(self, seconds: float = 61.0) -> None:
        self.clock[0] += seconds
        self.beat()
        await self.stages.look()

    @property
    def runs(self) -> str:
        assert self.publisher.pointer is not None
        return self.publisher.pointer.revision


def changed(bundle: Bundle, revision: str) -> Bundle:
    """Another name for the model upstream."""
    model = msgspec.structs.replace(bundle.models["m"], served_by=(Served(provider="p", name=revision),))
    return msgspec.structs.replace(bundle, revision=revision, models={"m": model})


@pytest.fixture
async def world(tmp_path: Path, publisher: Publisher, make_record: MakeRecord) -> AsyncIterator[World]:
    clock = [1793880000.0]
    ledger = Ledger(database_at(None, tmp_path / "ledger.db"), now=lambda: clock[0])
    yield World(publisher, ledger, make_record, clock)
    ledger.close()


@pytest.fixture
async def trial(world: World, make_bundle: MakeBundle) -> World:
    await world.offer(make_bundle("r1"))
    await world.offer(changed(make_bundle(), "r2"))
    assert world.runs == "r1"
    return world


async def test_a_good_revision_goes_through_every_stage(trial: World) -> None:
    first = trial.on_trial()
    assert len(first) == 3
    await trial.call(40)
    await trial.look(30.0)
    assert trial.on_trial() == first, "it bakes"
    await trial.look(31.0)
    assert len(trial.on_trial()) == 12
    assert first < trial.on_trial()
    await trial.look()
    assert len(trial.on_trial()) == 12, "each stage has calls of its own"
    await trial.call(40)
    await trial.look()
    assert (trial.runs, trial.on_trial()) == ("r2", set())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"outcome": "server_fault", "status": 502, "usage": None, "cost_usd": None}, "support: errors of 100.0%"),
        ({"cost_usd": Decimal("0.0060")}, "a call costs 0.006000 USD, 0.001200 beside it"),
        ({"wasted_usd": Decimal("0.0060")}, "a call costs 0.007200 USD, 0.001200 beside it"),
        ({"outcome": "ceiling_spent", "status": 402}, "refusals of 100.0%"),
        ({"seconds": 9.0}, "95 % answer within 9.00 s"),
        ({"attempts": (
            AttemptRecord(model="m", provider="p", reason="primary", outcome="throttled", seconds=0.1),
            AttemptRecord(model="n", provider="p", reason="fallback", outcome="ok", seconds=0.1),
        )}, "fallbacks of 100.0%"),
    ],
)  # fmt: skip
async def test_a_bad_revision_ends_at_the_first_stage_and_does_not_come_back(
    trial: World, changes: dict[str, Any], says: str, make_bundle: MakeBundle
) -> None:
    await trial.call(40, changes)
    await trial.look(1.0)
    assert (trial.runs, trial.on_trial()) == ("r1", set())
    (failure,) = trial.publisher.channel.failed
    assert (failure.bundle.revision, says in failure.reason) == ("r2", True), failure.reason
    assert trial.publisher.pointer is not None
    assert trial.publisher.pointer.reason.startswith("rolled back: ")
    await trial.offer(changed(make_bundle(), "r2"))
    assert trial.on_trial() == set()
    await trial.offer(changed(make_bundle(), "r3"))
    assert trial.on_trial()


async def test_without_calls_it_holds_for_ever_and_says_so(trial: World) -> None:
    first = trial.on_trial()
    for _ in range(50):
        await trial.look(3600.0)
    assert trial.on_trial() == first
    assert "none of the use cases that it changes was called" in trial.stages.waits_for


async def test_one_sidecar_that_refuses_it_ends_it(trial: World) -> None:
    assert trial.publisher.pointer is not None
    assert trial.publisher.pointer.rollout is not None
    tried = Activation(digest=trial.publisher.pointer.rollout.digest)
    trial.roster.note_status(SidecarStatus(id="pod-1", version="1", state="REJECTED", tried=tried, error="why"))
    await trial.look(0.0)
    assert trial.on_trial() == set()
    assert "pod-1 does not run it" in trial.publisher.channel.failed[0].reason


async def test_a_suspended_trial_holds_but_is_taken_back_all_the_same(trial: World) -> None:
    first = trial.on_trial()
    await trial.publisher.change(lambda channel: msgspec.structs.replace(channel, suspended="why"))
    await trial.call(40)
    await trial.look()
    assert trial.on_trial() == first
    await trial.call(400, {"outcome": "server_fault", "status": 502})
    await trial.look()
    assert trial.on_trial() == set()


async def test_with_few_sidecars_and_for_words_alone_it_goes_to_all_at_once(
    world: World, make_bundle: MakeBundle
) -> None:
    await world.offer(make_bundle("r1"))
    await world.offer(make_bundle("r2"))
    assert world.runs == "r2", "no call is answered otherwise"
    world.clock[0] += KNOWN_AGAIN_SECONDS + 1
    world.fleet = FLEET[:19]
    await world.offer(changed(make_bundle(), "r3"))
    assert world.runs == "r3"


async def test_a_restarted_controller_goes_on_at_the_same_share_and_knows_a_large_fleet_as_one(
    tmp_path: Path, signer: Signer, trial: World, make_bundle: MakeBundle
) -> None:
    first = trial.on_trial()
    await trial.publisher.change(lambda channel: msgspec.structs.replace(channel, fleet_size=len(FLEET)))
    trial.publisher = Publisher(StateFolder(tmp_path, epoch=9), signer)
    trial.publisher.restore()
    trial.restart()
    assert trial.on_trial() == first
    trial.fleet = []
    await trial.offer(changed(make_bundle(), "r3"))
    trial.fleet = list(FLEET)
    assert trial.runs == "r1"
    assert trial.publisher.channel.trial is not None
    assert trial.publisher.channel.trial.bundle.revision == "r3"


async def test_an_offer_counts_for_the_state_that_it_was_made_for(world: World, make_bundle: MakeBundle) -> None:
    """Its revision was fetched, and another controller or a person was faster."""
    await world.offer(make_bundle("r1"))
    before = world.publisher.channel
    await world.offer(changed(make_bundle(), "r3"))
    with pytest.raises(Superseded):
        await world.stages.offer(changed(make_bundle(), "r2"), POLICY, MIN_SIDECARS, before)
    before = world.publisher.channel
    await world.publisher.change(lambda channel: msgspec.structs.replace(channel, suspended="why"))
    with pytest.raises(Superseded):
        await world.stages.offer(changed(make_bundle(), "r4"), POLICY, MIN_SIDECARS, before)
    assert world.publisher.channel.head is not None
    assert world.publisher.channel.head.revision == "r3"


async def test_what_is_found_about_a_trial_that_is_over_changes_nothing(trial: World, make_bundle: MakeBundle) -> None:
    await trial.call(40, {"outcome": "server_fault", "status": 502})
    await trial.offer(changed(make_bundle(), "r3"))
    await trial.look(1.0)
    assert trial.publisher.channel.failed == ()
    assert trial.on_trial()


def without_support(bundle: Bundle, revision: str) -> Bundle:
    return msgspec.structs.replace(bundle, revision=revision, use_cases={})


async def test_a_use_case_that_is_removed_and_still_called_comes_back(world: World, make_bundle: MakeBundle) -> None:
    await world.offer(make_bundle("r1"))
    await world.offer(without_support(make_bundle(), "r2"))
    assert world.runs == "r1"
    assert world.on_trial()
    at = datetime.fromtimestamp(world.clock[0], UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert world.publisher.pointer is not None
    await world.ledger.book([world.make_record(0, bundle=world.publisher.pointer.digest, at=at)])
    await world.look(1.0)
    assert world.on_trial() == set()
    assert world.runs == "r1"


async def test_a_use_case_that_nobody_calls_any_more_may_go(world: World, make_bundle: MakeBundle) -> None:
    await world.offer(make_bundle("r1"))
    await world.offer(without_support(make_bundle(), "r2"))
    for _ in POLICY.stages:
        await world.look()
    assert world.runs == "r2"
