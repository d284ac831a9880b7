"""How canaries move: every transition, and that none is made twice or over another's head."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.canaries.moves import follow_rules, move, resume, stop
from controller.canaries.state import KEPT_MOVES, Canary, State, advanced, begun, begun_again, ended, halted
from controller.canaries.terms import Terms
from controller.channel import Channel, Named, NotPossible, roll_back, set_pin
from tests.fakes.canaries import terms

LADDER = terms().ladder


def channel(*canaries: Terms, **changes: Any) -> Channel:
    return Channel(stable=Named("sha256:1", 1, "r1", canaries=canaries), **changes)


def begun_in(*canaries: Terms) -> Channel:
    return follow_rules(channel(*canaries), now=1.0)


def only(channel: Channel) -> Canary:
    (canary,) = channel.canaries
    return canary


def stands(canary: Canary) -> tuple[State, Decimal, int]:
    return canary.state, canary.percent, canary.step


def test_a_canary_climbs_its_own_ladder_from_where_its_rules_begin_and_is_promoted_at_the_top() -> None:
    canary = only(begun_in(terms()))
    seen = [stands(canary)]
    while canary.next_percent is not None:
        canary = advanced(canary, "proved", now=2.0)
        seen.append(stands(canary))
    assert seen == [("running", 5, 1), ("running", 25, 2), ("running", 50, 3), ("promoted", 100, 4)]
    assert advanced(canary, "proved", now=3.0) == canary
    assert not canary.is_judged
    assert [move.percent for move in canary.moves] == [100, 50, 25, 5]


@pytest.mark.parametrize(
    ("changes", "stays"),
    [
        ({"ladder": ()}, True),
        ({"ladder": (Decimal(5),)}, True),
        ({"percent": Decimal(100)}, True),
        ({"percent": Decimal("0.5")}, False),
    ],
)
def test_a_ladder_that_ends_where_it_begins_leads_nowhere(changes: dict[str, Any], stays: bool) -> None:
    canary = only(begun_in(terms(**changes)))
    assert (canary.next_percent is None) is stays


def test_what_the_records_say_is_another_for_every_step_and_says_why() -> None:
    canary = begun(terms(), now=1.0)
    steps = [canary]
    for change in (advanced, advanced):
        steps.append(change(steps[-1], "why so", now=2.0))
    steps += [halted(steps[-1], "lots", now=3.0), begun_again(steps[-1], "mended", now=4.0)]
    steps += [ended(steps[-1], state, "w" * 900, now=5.0) for state in ("rolled_back", "stopped")]
    reasons = [one.reason for one in steps]
    assert len(set(reasons)) == len(reasons)
    assert reasons[1] == "canary new at 25 % (step 2): why so"
    assert max(map(len, reasons)) == 300


def test_the_pointer_steers_what_stands_whatever_bundle_runs() -> None:
    made = move(begun_in(terms()), only(begun_in(terms())), lambda canary: ended(canary, "stopped", "w", now=2.0))
    for seen in (made, set_pin(made, Named("sha256:9", 1, "r0"), "why", now=3.0, ttl_seconds=None)):
        (steered,) = seen.steering.values()
        assert (steered.model, steered.canary_percent, steered.reason) == ("new", 0, only(made).reason)
    assert made.reason == f"support: {only(made).reason}"


def test_a_move_is_made_once_and_never_over_what_came_between() -> None:
    """Two controllers judge one canary and both climb; a person stops it while a third looks."""
    before = begun_in(terms())
    judged = only(before)

    def climb(canary: Canary) -> Canary:
        return advanced(canary, "proved", now=2.0)

    once = move(before, judged, climb)
    assert stands(only(once)) == ("running", 25, 2)
    assert move(once, judged, climb) == once
    stopped = stop(before, "support", "an incident", now=2.0)
    assert move(stopped, judged, climb) == stopped
    gone = follow_rules(channel(canaries=before.canaries), now=2.0)
    assert move(gone, judged, climb) == gone


@pytest.mark.parametrize(
    ("rules", "stands_at"),
    [
        ((terms(),), [("rolled_back", 0)]),
        ((terms(), terms(use_case="chat")), [("rolled_back", 0), ("running", 5)]),
        ((terms(percent=Decimal(1)),), [("running", 1)]),
        ((terms(model="newer"),), [("running", 5)]),
        ((terms(primary="other"),), [("running", 5)]),
        ((terms(margin=0.05),), [("running", 5)]),
        ((), []),
    ],
)
def test_another_commit_begins_a_canary_anew_only_where_it_says_otherwise_of_it(
    rules: tuple[Terms, ...], stands_at: list[tuple[State, int]]
) -> None:
    before = move(begun_in(terms()), only(begun_in(terms())), lambda one: ended(one, "rolled_back", "w", now=2.0))
    after = follow_rules(msgspec.structs.replace(before, stable=Named("sha256:2", 1, "r2", canaries=rules)), now=3.0)
    assert [(canary.state, canary.percent) for canary in after.canaries] == stands_at
    assert follow_rules(after, now=4.0) == after
    before_it = [] if terms() in rules else ["rolled_back"]
    assert [canary.state for canary in after.past_canaries] == before_it, "what became of it is kept for the review"


def test_a_rollback_of_the_rules_takes_their_canary_along() -> None:
    old = Named("sha256:0", 1, "r0")
    made = follow_rules(roll_back(msgspec.structs.replace(begun_in(terms()), past=(old,)), "w", now=2.0), now=3.0)
    assert (made.canaries, made.steering) == ((), {})


def test_a_person_stops_a_canary_and_begins_it_again() -> None:
    made = begun_in(terms(), terms(use_case="chat"))
    with pytest.raises(NotPossible, match="was not stopped"):
        resume(made, "chat", "why", now=2.0)
    stopped = stop(made, "chat", "why", now=2.0)
    assert [stands(one) for one in stopped.canaries] == [("running", 5, 1), ("stopped", 0, 2)]
    with pytest.raises(NotPossible, match="has no traffic"):
        stop(stopped, "chat", "why", now=3.0)
    assert [stands(one) for one in resume(stopped, "chat", "why", now=3.0).canaries] == [
        ("running", 5, 1), ("running", 5, 3),
    ]  # fmt: skip
    with pytest.raises(NotPossible, match=r'"coding" has no canary .*: support, chat'):
        stop(made, "coding", "why", now=2.0)
    with pytest.raises(NotPossible, match="those that have: none"):
        stop(Channel(), "chat", "why", now=2.0)


@given(st.lists(st.sampled_from(["climb", "take_back", "halt", "stop", "resume", "rules"]), max_size=40))
def test_whatever_happens_the_share_is_nothing_or_a_rung(acts: list[str]) -> None:
    made = begun_in(terms())
    for act in acts:
        canary = only(made)
        try:
            if act == "stop":
                made = stop(made, "support", act, now=2.0)
            elif act == "resume":
                made = resume(made, "support", act, now=2.0)
            elif act == "rules":
                made = follow_rules(made, now=2.0)
            elif canary.is_judged:
                step = {"climb": advanced, "halt": halted}.get(act)
                made = move(
                    made, canary,
                    lambda one, s=step: s(one, "", now=2.0) if s else ended(one, "rolled_back", "", now=2.0),  # type: ignore[misc]
                )  # fmt: skip
        except NotPossible:
            continue
        after = only(made)
        assert after.percent in {0, *LADDER}
        assert (after.percent == 0) is (after.state in ("rolled_back", "inconclusive", "stopped"))
        assert len(after.moves) <= KEPT_MOVES
        assert msgspec.json.decode(msgspec.json.encode(made), type=Channel) == made, "it is kept as it is"
