"""Whom the agents' port answers, and whose key a request carries."""

import hashlib
from typing import Any

import msgspec
import pytest

from schemas.bundle import Caller
from sidecar.errors import ForeignHost, MalformedRequest, Unauthenticated
from sidecar.routing.snapshot import build_snapshot
from sidecar.server.guard import caller_of, refuse_foreigners, refuse_unreadable
from tests.fakes import core_bundles as bundles

BOT = Caller(name="bot", key_sha256=hashlib.sha256(b"secret").hexdigest())
RULES = bundles.snapshot(callers=(BOT,))


@pytest.mark.parametrize("host", ["127.0.0.1:4100", "localhost", "[::1]:4100", "Proxy.example", "a.localhost"])
def test_our_own_names_are_served(host: str) -> None:
    refuse_foreigners({"host": host}, frozenset({"proxy.example"}))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "127.0.0.1", "origin": "https://evil.example"},
        {"host": "127.0.0.1", "origin": "null"},
    ],
)
def test_a_page_of_a_browser_is_not(headers: dict[str, str]) -> None:
    with pytest.raises(ForeignHost):
        refuse_foreigners(headers, frozenset())


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "secret"},
        {"authorization": "Bearer secret"},
        {"authorization": "bearer  secret "},
        {"x-api-key": "secret", "authorization": "Bearer other"},
        {"x-goog-api-key": "secret"},
        {"x-goog-api-key": "secret", "authorization": "Bearer other"},
    ],
)
def test_a_known_key_is_its_caller_s(headers: dict[str, str]) -> None:
    assert caller_of(headers, RULES) is BOT


@pytest.mark.parametrize(
    ("headers", "in_query"),
    [({}, "secret"), ({"authorization": "Basic other"}, "secret"), ({"x-goog-api-key": "secret"}, "other")],
)
def test_a_key_in_the_query_counts_where_no_header_has_one(headers: dict[str, str], in_query: str) -> None:
    assert caller_of(headers, RULES, in_query) is BOT


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-api-key": ""}, {"x-api-key": "wrong"}, {"authorization": "Basic secret"}, {"authorization": "Bearer"}],
)
def test_any_other_is_refused_without_being_shown(headers: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        caller_of(headers, RULES)
    assert "wrong" not in refused.value.message


def test_a_part_of_rules_whose_callers_are_all_others_still_needs_a_key() -> None:
    part = build_snapshot(msgspec.structs.replace(bundles.bundle(), whole="sha256:0", keys_required=True), "sha256:1")
    with pytest.raises(Unauthenticated):
        caller_of({"authorization": "Bearer secret"}, part)
    assert part.digest == "sha256:0"


def test_where_the_rules_name_no_callers_nobody_needs_a_key() -> None:
    assert caller_of({}, bundles.snapshot()) is None


def test_a_header_that_is_not_text_is_refused() -> None:
    refuse_unreadable({"x-pointsman-agent": "zoë"})
    with pytest.raises(MalformedRequest, match="x-pointsman-agent"):
        refuse_unreadable({"x-pointsman-agent": b"\xff".decode(errors="surrogateescape")})
