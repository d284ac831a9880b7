"""Pointers, trials, pins, rollbacks, restarts, replays and forgeries in any order, against a small model of what holds.

The sequence never falls, a byte that was not signed never runs, and what ran last always loads.
"""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.channel import Channel, Policy, accept, advance, lift_pin, promote, roll_back, set_pin
from controller.kept.database import SharedState
from controller.kept.folder import StateFolder
from controller.kept.state import Kept
from controller.ledger.database import sqlite_at
from controller.ledger.store import Ledger
from controller.publish import Change, Publication, Publisher
from controller.sign import Signer
from schemas.bundle import Bundle, SignedPointer
from schemas.cohort import pointer_for
from sidecar.rules.cache import LastGood
from sidecar.rules.probation import Probation
from sidecar.rules.store import RuleStore
from sidecar.rules.trust import Trust, parse_pointer
from tests.fakes import core_bundles
from tests.fakes.ports import HandClock

SIDECARS = ("one", "two", "three")
POLICY = Policy(stages=(30, 60, 100), bake_seconds=1.0, min_calls=30)
FORGERY = Signer(bytes(range(1, 33)))


@dataclass
class Model:
    """What people expect to run, by the number of the revision."""

    stable: int = 0
    trial: int | None = None
    trial_stage: int = 0
    pin: int | None = None
    past: list[int] = field(default_factory=list)
    failed: set[int] = field(default_factory=set)

    @property
    def running(self) -> int:
        return self.stable if self.pin is None else self.pin

    def settle(self, number: int) -> None:
        self.past = [self.stable, *(one for one in self.past if one != number)][:7]
        self.stable, self.trial = number, None

    def roll_back(self) -> None:
        if self.trial is not None:
            self.failed.add(self.trial)
            self.trial = None
        else:
            self.failed.add(self.stable)
            self.stable = self.past.pop(0)


class BundlesOnTheirWay(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        (self.root / "controller").mkdir()
        self.signer = Signer(bytes(32))
        self.published: list[Publication] = []
        self.digests: dict[str, int] = {}
        self.model = Model()
        self.seen = dict.fromkeys(SIDECARS, (0, 0))
        self.stores: dict[str, RuleStore] = {}

    @initialize()
    def begin(self) -> None:
        self.restart_controller()
        for name in SIDECARS:
            self.start_sidecar(name)
        self.newest = 0
        self.accept(0, staged=False)

    def teardown(self) -> None:
        self.folder.cleanup()

    # What the controller does.

    @rule(staged=st.booleans())
    def commit(self, staged: bool) -> None:
        self.newest += 1
        self.accept(self.newest, staged=staged)
        if self.model.pin is None:
            if staged:
                self.model.trial, self.model.trial_stage = self.newest, 0
            else:
                self.model.settle(self.newest)

    @rule()
    @precondition(lambda self: self.model.trial is not None)
    def pass_a_stage(self) -> None:
        assert self.model.trial is not None
        self.change(lambda channel: advance(channel, percent=60.0, now=0.0))
        self.model.trial_stage += 1
        if self.model.trial_stage == len(POLICY.stages) - 1:
            self.model.settle(self.model.trial)

    @rule()
    @precondition(lambda self: self.model.trial is not None)
    def promote(self) -> None:
        assert self.model.trial is not None
        self.change(lambda channel: promote(channel, "why"))
        self.model.settle(self.model.trial)

    @rule()
    @precondition(lambda self: self.model.pin is None and (self.model.past or self.model.trial is not None))
    def roll_back(self) -> None:
        self.change(lambda channel: roll_back(channel, "why", now=0.0))
        self.model.roll_back()

    @rule()
    @precondition(lambda self: self.model.failed and self.model.pin is None)
    def see_a_failed_revision_again(self) -> None:
        """As after every restart: the repository still has it."""
        self.accept(max(self.model.failed), staged=False)

    @rule(back=st.integers(0, 3))
    def pin(self, back: int) -> None:
        number = [self.model.stable, *self.model.past][: back + 1][-1]
        named, _ = self.publisher.name(bundle(number))
        self.change(lambda channel: set_pin(channel, named, "why", now=0.0, ttl_seconds=None))
        self.model.pin, self.model.trial = number, None

    @rule()
    @precondition(lambda self: self.model.pin is not None)
    def unpin(self) -> None:
        self.change(lift_pin)
        self.model.pin = None

    @rule()
    def restart_controller(self) -> None:
        self.publisher = self.join()

    # What reaches the sidecars.

    @rule(name=st.sampled_from(SIDECARS))
    def hear_the_newest(self, name: str) -> None:
        publication = self.published[-1]
        self.deliver(name, publication)
        if "died 3 times" in self.stores[name].error:
            self.start_over(name)
            self.deliver(name, publication)
        assert self.stores[name].active.digest == pointer_for(publication.pointer, name).digest
        assert self.stores[name].error == ""

    @rule(name=st.sampled_from(SIDECARS), data=st.data())
    def hear_an_old_one_again(self, name: str, data: st.DataObject) -> None:
        publication = data.draw(st.sampled_from(self.published))
        before = self.stores[name].active.digest
        is_old = (publication.pointer.epoch, publication.pointer.seq) < self.seen[name]
        self.deliver(name, publication)
        if is_old:
            assert self.stores[name].active.digest == before

    @rule(name=st.sampled_from(SIDECARS), kind=st.sampled_from(["pointer", "signature", "key", "bundle"]))
    def hear_a_forgery(self, name: str, kind: str) -> None:
        store, real = self.stores[name], self.published[-1]
        before, seen = store.active.digest, store.pointer
        pointer = msgspec.structs.replace(real.pointer, seq=real.pointer.seq + 1)
        text = msgspec.json.encode(pointer).decode()
        data = real.bundle
        if kind == "bundle":
            if (real.pointer.epoch, real.pointer.seq) < self.seen[name]:
                return
            store.offer(real.signed, data + b" ")
        elif kind == "key":
            store.offer(FORGERY.sign(text), data)
        elif kind == "signature":
            store.offer(SignedPointer(pointer=text), data)
        else:
            store.offer(msgspec.structs.replace(real.signed, pointer=text), data)
        assert store.error
        assert (store.active.digest, store.pointer) == (before, seen)

    @rule(name=st.sampled_from(SIDECARS))
    def restart_sidecar(self, name: str) -> None:
        before = self.stores[name]
        before.note_stop()
        self.start_sidecar(name)
        after = self.stores[name]
        assert after.active.digest == before.active.digest
        assert (after.current is None) == (before.current is None)

    @rule(name=st.sampled_from(SIDECARS))
    def kill_sidecar(self, name: str) -> None:
        """What ran last, or, when it died too often, what ran before."""
        before = self.stores[name]
        self.start_sidecar(name)
        assert (self.stores[name].current is None) == (before.current is None)
        if self.stores[name].active.digest != before.active.digest:
            assert "died 3 times" in self.stores[name].error
            self.start_over(name)

    @invariant()
    def what_is_published_is_what_people_expect(self) -> None:
        if not self.published:
            return
        pointer = self.publisher.pointer
        assert pointer is not None
        assert self.digests[pointer.digest] == self.model.running
        trial = None if pointer.rollout is None else self.digests[pointer.rollout.digest]
        assert trial == self.model.trial
        sequences = [(one.pointer.epoch, one.pointer.seq) for one in self.published]
        assert sequences == sorted(set(sequences))
        assert self.publisher.bundle(pointer.digest) is not None

    @invariant()
    def only_signed_bytes_run(self) -> None:
        for store in self.stores.values():
            assert store.active.digest in {"", *self.digests}

    # The means.

    def join(self) -> Publisher:
        """A controller that has just started."""
        publisher = Publisher(self.kept(), self.signer)
        publisher.restore()
        return publisher

    def kept(self) -> Kept:
        return StateFolder(self.root / "controller", epoch=7)

    def accept(self, number: int, *, staged: bool) -> None:
        named, data = self.publisher.name(bundle(number))
        self.digests[named.digest] = number

        def change(channel: Channel) -> Channel:
            return accept(channel, named, POLICY if staged else None, affected=("support",), percent=30.0)

        self.change(change, {named.digest: data})

    def change(self, change: Change, bundles: dict[str, bytes] | None = None) -> None:
        publication = asyncio.run(self.publisher.change(change, bundles or {}))
        if not self.published or publication.event_id != self.published[-1].event_id:
            self.published.append(publication)

    def deliver(self, name: str, publication: Publication) -> None:
        wanted = self.stores[name].wants(publication.signed)
        if wanted is not None:
            self.stores[name].offer(publication.signed, encoded(self.digests[wanted.digest]))
        if not self.stores[name].error:
            said = parse_pointer(publication.signed)
            self.seen[name] = max(self.seen[name], (said.epoch, said.seq))

    def start_sidecar(self, name: str) -> None:
        folder = self.root / name
        trust = Trust((self.signer.public_key,))
        self.stores[name] = RuleStore(HandClock(), trust, LastGood(folder), Probation(folder, "1"), sidecar=name)
        self.stores[name].load_last_good()

    def start_over(self, name: str) -> None:
        """A version that suspects nobody, so that it takes the newest again."""
        self.stores[name].note_stop()
        (self.root / name / "probation.json").unlink()
        self.start_sidecar(name)


class BundlesOfTwoControllers(BundlesOnTheirWay):
    """The same with a second controller on one database, which is asked now and then, with or without having heard."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(sqlite_at(self.root / "ledger.db"))
        self.other = self.join()
        self.is_others_turn = False

    def teardown(self) -> None:
        self.ledger.close()
        super().teardown()

    @rule()
    def ask_the_other_next(self) -> None:
        self.is_others_turn = True

    @rule()
    def the_other_hears(self) -> None:
        asyncio.run(self.other.catch_up())
        assert self.other.current is not None
        assert self.publisher.current is not None
        assert self.other.current.body == self.publisher.current.body
        assert self.other.channel == self.publisher.channel

    def kept(self) -> Kept:
        return SharedState(self.ledger, now=lambda: 7.0)

    def change(self, change: Change, bundles: dict[str, bytes] | None = None) -> None:
        if self.is_others_turn:
            self.publisher, self.other, self.is_others_turn = self.other, self.publisher, False
        super().change(change, bundles)


def bundle(number: int) -> Bundle:
    return core_bundles.bundle(revision=f"r{number}")


def encoded(number: int) -> bytes:
    return msgspec.json.encode(bundle(number), order="sorted")


TestBundlesOnTheirWay = BundlesOnTheirWay.TestCase
TestBundlesOnTheirWay.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBundlesOfTwoControllers = BundlesOfTwoControllers.TestCase
TestBundlesOfTwoControllers.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
