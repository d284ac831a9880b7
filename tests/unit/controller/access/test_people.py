from ipaddress import ip_network
from pathlib import Path

import pytest

from controller.access.people import SESSION_SECONDS, People
from controller.tokens import load_tokens

NOW = 1_000_000.0


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(load_tokens(tmp_path, make=True), header="X-User", proxies=[ip_network("10.0.0.0/8")])


def token(folder: Path, name: str) -> str:
    return (folder / name).read_text()


@pytest.mark.parametrize(("file", "may_act"), [("admin.token", True), ("sidecar.token", False)])
def test_a_session_may_what_its_token_may(people: People, tmp_path: Path, file: str, may_act: bool) -> None:
    cookie = people.open_session(token(tmp_path, file), NOW)
    viewer = people.in_session(cookie, NOW)
    assert viewer is not None
    assert (viewer.name, viewer.may_act) == (file, may_act)
    assert token(tmp_path, file) not in str(cookie)
    assert people.in_session(cookie, NOW + SESSION_SECONDS) is None


def test_a_session_ends_with_its_token(people: People, tmp_path: Path) -> None:
    cookie = people.open_session(token(tmp_path, "admin.token"), NOW)
    (tmp_path / "admin.token").write_text("another-token-of-32-characters--\n")
    assert people.in_session(cookie, NOW) is None


def test_no_session_can_be_made_without_a_token(people: People, tmp_path: Path) -> None:
    assert people.open_session("a-token-that-nobody-has-given-out", NOW) is None
    reading = people.open_session(token(tmp_path, "sidecar.token"), NOW) or ""
    acting = people.open_session(token(tmp_path, "admin.token"), NOW) or ""
    mixed = acting.partition(".")[0] + "." + reading.partition(".")[2]
    for forged in ("", ".", "e30=.00", "é.é", mixed, acting[:-1], "x" + acting):
        assert people.in_session(forged, NOW) is None


@pytest.mark.parametrize(("peer", "name", "known"), [
    ("10.1.2.3", "ann@shop.example", True), ("192.0.2.1", "ann@shop.example", False), ("::1", "ann", False),
    ("10.1.2.3", " ", False), ("10.1.2.3", "a" * 201, False), (None, "ann", False),
])  # fmt: skip
def test_a_name_counts_from_the_proxy_alone(people: People, peer: str | None, name: str, known: bool) -> None:
    assert (people.named_by_proxy({"X-User": name}, peer) is not None) is known


def test_no_header_is_believed_unless_one_is_named(tmp_path: Path) -> None:
    people = People(load_tokens(tmp_path, make=True), proxies=[ip_network("10.0.0.0/8")])
    assert people.named_by_proxy({"X-User": "ann", "": "ann"}, "10.0.0.1") is None


def test_a_form_of_one_is_of_no_use_to_another(people: People) -> None:
    ann = people.named_by_proxy({"X-User": "ann"}, "10.0.0.1")
    bob = people.named_by_proxy({"X-User": "bob"}, "10.0.0.1")
    assert ann is not None
    assert bob is not None
    assert people.is_form_key(ann, people.form_key(ann))
    assert not people.is_form_key(bob, people.form_key(ann))
    assert not people.is_form_key(ann, "")
    assert not people.is_form_key(ann, "é")
