from hypothesis import given
from hypothesis import strategies as st

from schemas.bundle import Candidate, Pointer
from schemas.cohort import LOTS, lot_of, pointer_for

SIDECARS = [f"pod-{number}" for number in range(2000)]


def pointer(percent: float, salt: str = "s") -> Pointer:
    trial = Candidate(digest="new", size=2, revision="r2", percent=percent, salt=salt)
    return Pointer(epoch=1, seq=2, digest="old", size=1, revision="r1", rollout=trial)


def on_trial(percent: float, salt: str = "s") -> set[str]:
    return {name for name in SIDECARS if pointer_for(pointer(percent, salt), name).digest == "new"}


def test_a_share_of_the_sidecars_reads_the_trial_and_no_pointer_is_left_with_one() -> None:
    assert 160 < len(on_trial(10.0)) < 240
    for name in SIDECARS[:50]:
        read = pointer_for(pointer(50.0), name)
        assert (read.digest, read.size, read.revision) in {("old", 1, "r1"), ("new", 2, "r2")}
        assert (read.seq, read.rollout) == (2, None)
    assert on_trial(0.0) == set()
    assert on_trial(100.0) == set(SIDECARS)


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_later_stage_keeps_everybody_of_an_earlier_one(one: int, other: int) -> None:
    assert on_trial(min(one, other)) <= on_trial(max(one, other))


def test_every_trial_draws_its_lots_anew() -> None:
    assert on_trial(10.0, "a") != on_trial(10.0, "b")


@given(st.text(), st.text())
def test_one_hundredth_of_a_percent_counts(salt: str, sidecar: str) -> None:
    lot = lot_of(salt, sidecar)
    assert 0 <= lot < LOTS
    assert pointer_for(pointer(lot / 100, salt), sidecar).digest == "old"
    assert pointer_for(pointer((lot + 1) / 100, salt), sidecar).digest == "new"
