import pytest

from controller.fleet import ALIVE_SECONDS, OFFLINE_SECONDS, Member, Roster, state_of
from schemas.bundle import Pointer
from schemas.status import Activation, FleetState, SidecarState, SidecarStatus

CURRENT = Pointer(epoch=1, seq=2, digest="new", size=1, revision="r2")


def status(state: SidecarState, *, active: str, tried: str = "") -> SidecarStatus:
    return SidecarStatus(
        id="a", version="1", state=state, active=Activation(digest=active), tried=Activation(digest=tried)
    )


@pytest.mark.parametrize(
    ("said", "age", "state"),
    [
        (status("ACTIVE", active="new"), 0.0, "SYNCED"),
        (status("ACTIVE", active="old"), 0.0, "BEHIND"),
        (status("STARTING", active=""), 0.0, "BEHIND"),
        (status("REJECTED", active="old", tried="new"), 0.0, "REJECTED"),
        (status("REJECTED", active="old", tried="older"), 0.0, "BEHIND"),
        (status("ACTIVE", active="new"), OFFLINE_SECONDS, "SYNCED"),
        (status("ACTIVE", active="new"), OFFLINE_SECONDS + 1, "OFFLINE"),
        (None, 0.0, "BEHIND"),
    ],
)
def test_state(said: SidecarStatus | None, age: float, state: FleetState) -> None:
    assert state_of(Member(seen=1000.0, status=said), CURRENT, 1000.0 + age) == state


def test_an_open_watch_is_a_sign_of_life_and_a_status_fills_in_the_rest() -> None:
    clock = [1000.0]
    roster = Roster(lambda: clock[0])
    roster.note_alive("a")
    clock[0] += OFFLINE_SECONDS
    roster.note_alive("a")
    clock[0] += OFFLINE_SECONDS
    (member,) = roster.fleet(CURRENT).sidecars
    assert (member.state, member.last_seen) == ("BEHIND", "1970-01-01T00:19:10.000Z")
    roster.note_status(status("ACTIVE", active="new"))
    assert [(m.state, m.bundle) for m in roster.fleet(CURRENT).sidecars] == [("SYNCED", "new")]


def test_who_was_silent_for_half_a_minute_is_not_alive() -> None:
    clock = [1000.0]
    roster = Roster(lambda: clock[0])
    roster.note_alive("a")
    clock[0] += ALIVE_SECONDS
    roster.note_alive("b")
    assert roster.alive() == 2
    clock[0] += 1.0
    assert roster.alive() == 1


def test_who_was_away_for_a_day_is_forgotten() -> None:
    clock = [0.0]
    roster = Roster(lambda: clock[0])
    roster.note_status(status("ACTIVE", active="new"))
    clock[0] = 86_400.0
    assert roster.fleet(CURRENT).sidecars == ()


@pytest.mark.parametrize(
    ("said", "rejecting"),
    [
        (status("REJECTED", active="old", tried="new"), ["a"]),
        (status("REJECTED", active="new", tried="new"), []),  # its disk is full, and it runs all the same
        (status("REJECTED", active="old", tried="other"), []),
        (status("ACTIVE", active="old", tried="new"), []),
    ],
)
def test_who_will_not_run_a_bundle(said: SidecarStatus, rejecting: list[str]) -> None:
    roster = Roster(lambda: 1000.0)
    roster.note_status(said)
    assert roster.rejecting("new") == rejecting


def test_sidecars_bound_to_other_use_cases_are_left_out_while_others_remain() -> None:
    roster = Roster(lambda: 1000.0)
    for name, use_case in (("a", "chat"), ("b", "support"), ("c", "")):
        roster.note_status(SidecarStatus(id=name, version="1", state="ACTIVE", use_case=use_case))
    assert roster.serving(["support"]) == ["b", "c"]
    roster = Roster(lambda: 1000.0)
    roster.note_status(SidecarStatus(id="a", version="1", state="ACTIVE", use_case="chat"))
    assert roster.serving(["support"]) == ["a"]
