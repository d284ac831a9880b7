"""The rules that run: activated, or refused with the last good ones going on."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from schemas.bundle import (
    Candidate,
    Hours,
    Pointer,
    Rule,
    Share,
    SignedPointer,
    Steered,
    When,
    digest_of,
    encode_bundle,
)
from sidecar.rules.cache import LastGood
from sidecar.rules.probation import Probation
from sidecar.rules.store import RuleStore
from sidecar.rules.trust import LocalTrust
from tests.fakes import core_bundles as bundles
from tests.fakes.ports import HandClock

GOOD, NEXT = (encode_bundle(bundles.bundle(revision=name)) for name in ("good", "next"))
TRYING = encode_bundle(bundles.bundle(revision="trying", canary=Share(model="beta", percent=Decimal(5))))
BAD_HOURS = Rule(when=When(hours=Hours(start="x", end="y", zone="UTC")), chain=("beta",))
BAD = encode_bundle(bundles.bundle(revision="bad", rules=(BAD_HOURS,)))


def pointer(data: bytes, seq: int, epoch: int = 1) -> SignedPointer:
    made = Pointer(epoch=epoch, seq=seq, digest=digest_of(data), size=len(data), revision="r")
    return SignedPointer(pointer=msgspec.json.encode(made).decode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "rules"


@pytest.fixture
def store(folder: Path) -> RuleStore:
    return new_store(folder)


def new_store(folder: Path) -> RuleStore:
    return RuleStore(HandClock(), LocalTrust(), LastGood(folder), Probation(folder, "1"))


def test_good_rules_run_and_are_kept(store: RuleStore, folder: Path) -> None:
    assert store.wants(pointer(GOOD, 1)) is not None
    assert store.offer(pointer(GOOD, 1), GOOD)
    assert store.current is not None
    assert (store.current.revision, store.active.revision, store.error, store.pointer.seq) == ("good", "good", "", 1)
    later = new_store(folder)
    later.load_last_good()
    assert later.current is not None
    assert (later.current.revision, later.pointer.seq) == ("good", 1)


@pytest.mark.parametrize(
    "data",
    [
        BAD,
        b"",
        b"{",
        b"\xff",
        b"[]",
        GOOD.replace(b'"schema":"1.0"', b'"schema":"2.0"'),
        b'{"schema":"1.0"}',
        b"[" * 90_000,
    ],
)
def test_what_is_refused_changes_nothing_and_is_said(store: RuleStore, folder: Path, data: bytes) -> None:
    store.offer(pointer(GOOD, 1), GOOD)
    before, on_disk = store.current, (folder / "current.json").read_bytes()
    assert not store.offer(pointer(data, 2), data)
    assert store.current is before
    assert store.error
    assert store.active.revision == "good"
    assert store.fetched.digest == digest_of(data), "fetched and activated are told apart"
    assert store.pointer.seq == 1
    assert (folder / "current.json").read_bytes() == on_disk
    assert store.offer(pointer(NEXT, 3), NEXT)
    assert (store.active.revision, store.error) == ("next", "")


def test_bytes_that_are_not_the_named_ones_are_refused(store: RuleStore) -> None:
    assert not store.offer(pointer(GOOD, 1), NEXT)
    assert store.current is None
    assert "the pointer names" in store.error


@pytest.mark.parametrize(("epoch", "seq"), [(1, 4), (0, 9)])
def test_an_older_pointer_is_never_gone_back_to(store: RuleStore, epoch: int, seq: int) -> None:
    store.offer(pointer(NEXT, 5), NEXT)
    assert store.wants(pointer(GOOD, seq, epoch)) is None
    assert "older" in store.error
    assert not store.offer(pointer(GOOD, seq, epoch), GOOD), "nor one that was wanted before a newer one came"
    assert store.active.revision == "next"


def test_a_rollback_is_a_new_sequence_with_an_old_digest(store: RuleStore) -> None:
    store.offer(pointer(GOOD, 1), GOOD)
    store.offer(pointer(NEXT, 2), NEXT)
    assert store.offer(pointer(GOOD, 3), GOOD)
    assert (store.active.revision, store.pointer.seq) == ("good", 3)


def test_equal_rules_are_not_fetched_again_and_clear_the_error(store: RuleStore) -> None:
    store.offer(pointer(GOOD, 1), GOOD)
    snapshot = store.current
    store.offer(pointer(BAD, 2), BAD)
    assert store.wants(pointer(GOOD, 3)) is None
    assert (store.error, store.pointer.seq) == ("", 3)
    assert store.current is snapshot


def steering(data: bytes, seq: int, percent: int) -> SignedPointer:
    by = Steered(model="beta", canary_percent=Decimal(percent), reason="a test")
    made = Pointer(
        epoch=1, seq=seq, digest=digest_of(data), size=len(data), revision="r", steering={"chat": by} if percent else {}
    )
    return SignedPointer(pointer=msgspec.json.encode(made).decode())


def share_of_beta(store: RuleStore) -> Decimal | None:
    assert store.current is not None
    canary = store.current.use_cases["chat"].chain.canary
    return canary and canary.probability * 100


def test_a_canary_is_steered_by_a_pointer_alone_and_still_is_after_a_restart(store: RuleStore, folder: Path) -> None:
    shares = []
    store.offer(pointer(TRYING, 1), TRYING)
    shares.append(share_of_beta(store))
    for seq, percent in ((2, 25), (3, 50)):
        assert store.wants(steering(TRYING, seq, percent)) is None
        shares.append(share_of_beta(store))
    later = new_store(folder)
    later.load_last_good()
    shares.append(share_of_beta(later))
    assert store.wants(steering(TRYING, 4, 0)) is None
    shares.append(share_of_beta(store))
    assert shares == [5, 25, 50, 50, 5]


def test_what_is_steered_holds_though_the_bundle_that_comes_with_it_is_refused(store: RuleStore) -> None:
    store.offer(steering(TRYING, 1, 25), TRYING)
    signed = steering(BAD, 2, 50)
    assert store.wants(signed) is not None
    assert not store.offer(signed, BAD)
    assert share_of_beta(store) == 50
    assert store.wants(steering(BAD, 1, 75)) is None
    assert share_of_beta(store) == 50, "nothing that is older is believed"


def test_a_folder_s_rules_need_no_pointer(store: RuleStore, folder: Path) -> None:
    assert store.offer_local(GOOD)
    snapshot = store.current
    assert store.offer_local(GOOD)
    assert store.current is snapshot
    assert not store.offer_local(BAD)
    assert store.current is snapshot
    later = new_store(folder)
    later.load_last_good()
    assert later.active.revision == "good"


def test_a_last_good_that_is_damaged_gives_way_to_the_one_before(folder: Path, store: RuleStore) -> None:
    store.offer(pointer(GOOD, 1), GOOD)
    store.offer(pointer(NEXT, 2), NEXT)
    kept = folder / "current.json"
    kept.write_bytes(kept.read_bytes().replace(b"next", b"nExt"))
    later = new_store(folder)
    later.load_last_good()
    assert later.active.revision == "good"


@pytest.mark.parametrize("years", [1, -1])
def test_rules_have_no_end_whatever_becomes_of_the_clock(folder: Path, years: int) -> None:
    clock = HandClock()
    store = RuleStore(clock, LocalTrust(), LastGood(folder), Probation(folder, "1"))
    store.offer(pointer(GOOD, 2), GOOD)
    clock.jump(years * 366 * 86_400)
    later = RuleStore(clock, LocalTrust(), LastGood(folder), Probation(folder, "1"))
    later.load_last_good()
    for one in (store, later):
        assert one.wants(pointer(GOOD, 2)) is None
        assert (one.active.revision, one.error) == ("good", "")
        assert one.wants(pointer(NEXT, 1)) is None, "nor does it bring back what was before"
        assert "is older than" in one.error


def test_rules_that_cannot_be_kept_run_all_the_same_and_are_kept_when_they_can(
    store: RuleStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("sidecar.rules.cache.write_durably", full)
        assert store.offer(pointer(GOOD, 1), GOOD)
        assert store.active.revision == "good"
        assert "not persisted" in store.error
        assert store.wants(pointer(GOOD, 2)) is None
        assert "not persisted" in store.error, "the same rules named again are no better kept"
    store.note_alive()
    assert store.error == ""
    later = new_store(folder)
    later.load_last_good()
    assert (later.active.revision, later.pointer.seq) == ("good", 2)


def test_rules_that_are_set_aside_are_not_taken_from_a_file_either_while_others_run(folder: Path) -> None:
    first = new_store(folder)
    first.offer_local(GOOD)
    for _ in range(3):
        store = new_store(folder)
        store.load_last_good()
        store.offer_local(NEXT)
    last = new_store(folder)
    last.load_last_good()
    assert not last.offer_local(NEXT)
    assert (last.active.revision, "died 3 times" in last.error) == ("good", True)


def test_everybody_is_told_of_every_change(store: RuleStore) -> None:
    told: list[str] = []
    store.on_change.append(lambda: told.append(store.error))
    store.offer(pointer(GOOD, 1), GOOD)
    store.refuse("x" * 5_000)
    assert told == ["", "x" * 1024]


def on_trial(stable: bytes, trial: bytes, seq: int, percent: float) -> SignedPointer:
    made = msgspec.json.decode(pointer(stable, seq).pointer, type=Pointer)
    candidate = Candidate(digest=digest_of(trial), size=len(trial), revision="r", percent=percent, salt="s")
    return SignedPointer(pointer=msgspec.json.encode(msgspec.structs.replace(made, rollout=candidate)).decode())


@pytest.mark.parametrize(("percent", "runs"), [(100.0, "next"), (0.0, "good")])
def test_a_trial_is_run_by_whom_the_lot_fell_to_and_is_still_run_after_a_restart(
    store: RuleStore, folder: Path, percent: float, runs: str
) -> None:
    signed = on_trial(GOOD, NEXT, 1, percent)
    wanted = store.wants(signed)
    assert wanted is not None
    data = {digest_of(GOOD): GOOD, digest_of(NEXT): NEXT}[wanted.digest]
    assert store.offer(signed, data)
    assert store.wants(signed) is None
    later = new_store(folder)
    later.load_last_good()
    assert (later.active.revision, later.active.digest) == (runs, wanted.digest)


def test_the_other_arm_s_bytes_are_refused(store: RuleStore) -> None:
    assert not store.offer(on_trial(GOOD, NEXT, 1, 0.0), NEXT)
    assert store.current is None


def test_a_newer_pointer_for_the_same_rules_is_remembered_over_a_restart(store: RuleStore, folder: Path) -> None:
    store.offer(pointer(GOOD, 1), GOOD)
    assert store.wants(pointer(GOOD, 3)) is None
    later = new_store(folder)
    later.load_last_good()
    assert later.wants(pointer(NEXT, 2)) is None
    assert "older" in later.error
    assert (later.active.revision, later.pointer.seq) == ("good", 3)


def test_rules_under_which_the_process_dies_give_way_to_those_before_and_are_named(folder: Path) -> None:
    new_store(folder).offer(pointer(GOOD, 1), GOOD)
    new_store(folder).offer(pointer(NEXT, 2), NEXT)
    for _ in range(2):
        again = new_store(folder)
        again.load_last_good()
        assert again.active.revision == "next"
    after = new_store(folder)
    after.load_last_good()
    assert (after.active.revision, after.tried.digest) == ("good", digest_of(NEXT))
    assert "died 3 times" in after.error
    assert after.wants(pointer(NEXT, 2)) is None
    assert "died 3 times" in after.error
    assert after.wants(pointer(GOOD, 1)) is None
    assert "older" in after.error, "what was set aside was believed all the same"
    assert after.wants(pointer(GOOD, 3)) is None
    assert after.error == ""


def test_the_only_rules_run_however_often_the_process_died(folder: Path) -> None:
    new_store(folder).offer(pointer(GOOD, 1), GOOD)
    for _ in range(5):
        again = new_store(folder)
        again.load_last_good()
        assert again.active.revision == "good"


async def test_rules_that_held_for_a_minute_are_never_suspected(folder: Path) -> None:
    new_store(folder).offer(pointer(GOOD, 1), GOOD)
    clock = HandClock()
    store = RuleStore(clock, LocalTrust(), LastGood(folder), Probation(folder, "1"))
    store.offer(pointer(NEXT, 2), NEXT)
    await clock.turn(60.0)
    store.note_alive()
    for _ in range(5):
        again = new_store(folder)
        again.load_last_good()
        assert again.active.revision == "next"
