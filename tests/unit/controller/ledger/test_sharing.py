"""Controllers of one database know one fleet: each tells whom it hears of, by the database's clock."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from controller.fleet import ALIVE_SECONDS, FORGET_SECONDS, MAX_MEMBERS, Roster
from controller.ledger.sharing import exchange, forget
from controller.ledger.store import Ledger
from schemas.bundle import Pointer
from schemas.status import Activation, SidecarStatus

pytestmark = pytest.mark.parametrize("open_database", ["postgresql"], indirect=True)
POINTER = Pointer(epoch=1, seq=1, digest="sha256:a", size=1, revision="r1")


@dataclass
class Place:
    """A controller whose clock is off, and stands still until it is turned."""

    ledger: Ledger
    clock: float
    since: float = 0.0

    def __post_init__(self) -> None:
        self.roster = Roster(lambda: self.clock, is_shared=True)

    def exchange(self) -> None:
        told = self.roster.untold()
        self.since, heard = self.ledger.write(
            lambda connection: exchange(connection, told, self.since, lambda: self.clock)
        )
        self.roster.hear_of(heard)

    def rows(self) -> list[tuple[str, str, str]]:
        return [(row.id, row.state, row.revision) for row in self.roster.fleet(POINTER).sidecars]


def status(name: str, *, digest: str = "sha256:a", revision: str = "r1") -> SidecarStatus:
    return SidecarStatus(
        id=name, version="1", state="ACTIVE", use_case="support", active=Activation(digest=digest, revision=revision)
    )


@pytest.fixture
def places(open_ledger: Callable[..., Ledger]) -> tuple[Place, Place]:
    ledger = open_ledger()
    return Place(ledger, 1000.0), Place(ledger, 5000.0)


def test_every_controller_tells_the_same_fleet_whatever_its_clock_says(places: tuple[Place, Place]) -> None:
    one, other = places
    one.roster.note_status(status("a"), ("support",))
    other.roster.note_status(status("b", digest="sha256:0", revision="r0"))
    other.roster.note_alive("c")
    for place in (one, other, one):
        place.exchange()
    assert one.rows() == other.rows() == [("a", "SYNCED", "r1"), ("b", "BEHIND", "r0"), ("c", "BEHIND", "")]
    assert (one.roster.alive(), other.roster.alive()) == (3, 3)
    assert sorted(one.roster.serving(["support"])) == sorted(other.roster.serving(["support"])) == ["a", "b", "c"]
    assert other.roster.serving(["sales"]) == ["c"], "a may call nothing else, and b counts as support"


def test_a_sidecar_that_moved_is_one_and_its_last_word_counts(places: tuple[Place, Place]) -> None:
    one, other = places
    one.roster.note_status(status("a", digest="sha256:0", revision="r0"))
    one.exchange()
    other.exchange()
    assert other.rows() == [("a", "BEHIND", "r0")]
    for place in places:
        place.clock += 10.0
    other.roster.note_alive("a")
    other.exchange()
    assert other.rows() == [("a", "BEHIND", "r0")], "a beat of the stream says nothing of what it runs"
    other.roster.note_status(status("a"))
    other.exchange()
    one.exchange()
    assert one.rows() == other.rows() == [("a", "SYNCED", "r1")]
    assert one.roster.alive() == 1


def test_what_could_not_be_told_is_told_later_and_what_is_newer_stays(places: tuple[Place, Place]) -> None:
    one, other = places
    one.roster.note_status(status("a"))
    one.roster.not_told(one.roster.untold())
    one.roster.note_alive("a")
    one.roster.note_status(status("b", digest="sha256:0", revision="r0"))
    one.clock += 20.0  # the database was away
    other.roster.note_status(status("b"))
    other.exchange()
    one.exchange()
    other.exchange()
    assert one.rows() == other.rows() == [("a", "SYNCED", "r1"), ("b", "SYNCED", "r1")]
    other.clock += ALIVE_SECONDS - 19.0
    assert other.roster.alive() == 2, "as long as nobody is heard of, those of others are not gone"
    other.roster.hear_of({})
    assert other.roster.alive() == 1, "a was last heard of 20 s before it was told"


def test_a_restarted_controller_knows_the_fleet_from_the_others(places: tuple[Place, Place]) -> None:
    one, _ = places
    for number in range(50):
        one.roster.note_status(status(f"s{number}"))
    one.exchange()
    restarted = Place(one.ledger, 7.0)
    restarted.exchange()
    assert restarted.rows() == one.rows()
    assert restarted.roster.alive() == 50


def test_those_that_are_gone_for_good_are_forgotten_and_of_too_many_the_oldest(places: tuple[Place, Place]) -> None:
    one, _ = places
    for name in ("gone", "a"):
        one.roster.note_alive(name)
    one.exchange()
    late = f"UPDATE sidecars SET seen = seen - {FORGET_SECONDS + 1} WHERE name = 'gone'"
    many = (
        "INSERT INTO sidecars (name, seen, scope, told, status, written, status_written) "
        "SELECT 'old-' || n, (SELECT max(seen) - 60 FROM sidecars), '[\"*\"]', 0, '', 1, 1 "
        f"FROM generate_series(1, {MAX_MEMBERS}) AS n"
    )
    for statement in (late, many):
        one.ledger.write(lambda connection, statement=statement: connection.execute(text(statement)))  # type: ignore[misc]
    one.ledger.write(forget)
    count = "SELECT count(*), count(*) FILTER (WHERE name IN ('a', 'gone')), min(name) FROM sidecars"
    assert one.ledger.read(lambda connection: tuple(connection.execute(text(count)).one())) == (MAX_MEMBERS, 1, "a")
