"""Places for calls in flight, and the short queue before them."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.limits.slots import MOST_WAITING, Slots


def test_first_come_first_served() -> None:
    slots = Slots()
    assert [slots.enter(name, 2) for name in "abcde"] == ["in", "in", "queued", "queued", "full"]
    assert slots.leave(2) == ["c"]
    assert slots.enter("f", 2) == "queued"
    assert slots.leave(2) == ["d"]
    assert slots.admit(3) == ["f"]
    assert slots.in_use == 3


def test_nobody_passes_those_who_wait() -> None:
    slots = Slots()
    slots.enter("a", 1)
    slots.enter("b", 1)
    assert slots.enter("c", 2) == "queued"


def test_one_who_gives_up_has_no_place_and_one_who_was_let_in_meanwhile_must_leave() -> None:
    slots = Slots()
    for name in "abc":
        slots.enter(name, 2)
    assert slots.give_up("c")
    slots.enter("d", 2)
    assert slots.leave(2) == ["d"]
    assert not slots.give_up("d")


def test_the_queue_is_short() -> None:
    slots = Slots()
    entries = [slots.enter(str(number), 1_000) for number in range(1_200)]
    assert (entries.count("in"), entries.count("queued"), entries.count("full")) == (1_000, MOST_WAITING, 100)


@given(st.lists(st.tuples(st.sampled_from(["enter", "leave", "give_up", "admit"]), st.integers(0, 5))))
def test_there_are_never_more_in_than_were_allowed_and_nobody_is_lost(steps: list[tuple[str, int]]) -> None:
    slots, inside, queued, most = Slots(), set[str](), list[str](), 0
    for number, (step, allowed) in enumerate(steps):
        most = max(most, allowed)
        admitted: list[str] = []
        if step == "enter":
            entry = slots.enter(str(number), allowed)
            if entry == "in":
                inside.add(str(number))
            elif entry == "queued":
                queued.append(str(number))
        elif step == "leave" and inside:
            inside.pop()
            admitted = slots.leave(allowed)
        elif step == "give_up" and queued:
            assert slots.give_up(queued.pop())
        elif step == "admit":
            admitted = slots.admit(allowed)
        assert admitted == queued[: len(admitted)]
        inside |= set(admitted)
        del queued[: len(admitted)]
        assert slots.in_use == len(inside) <= most
