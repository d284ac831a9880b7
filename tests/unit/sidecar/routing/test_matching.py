"""What a rule's `when` means, condition by condition."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.bundle import Hours, TokenRange, When
from sidecar.routing.facts import Facts
from sidecar.routing.matching import compile_when, glob, minute_of_day

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("when", "facts", "holds"),
    [
        ({}, {}, True),
        ({"input_tokens": TokenRange(over=10)}, {"input_tokens": 10}, False),
        ({"input_tokens": TokenRange(over=10)}, {"input_tokens": 11}, True),
        ({"input_tokens": TokenRange(under=10)}, {"input_tokens": 10}, False),
        ({"input_tokens": TokenRange(over=5, under=10)}, {"input_tokens": 9}, True),
        ({"needs": ("tools",)}, {"needs": frozenset({"tools", "vision"})}, True),
        ({"needs": ("tools", "vision")}, {"needs": frozenset({"tools"})}, False),
        ({"stream": True}, {"stream": True}, True),
        ({"stream": False}, {"stream": True}, False),
        ({"agent": ("bot-*", "x")}, {"agent": "bot-1"}, True),
        ({"agent": ("bot-*",)}, {"agent": "Bot-1"}, False),
        ({"agent": ("bot-*",)}, {}, False),
        ({"agent": ("*",)}, {"agent": "two\nlines"}, True),
        ({"caller": ("team-?",)}, {"caller": "team-a"}, True),
        ({"header": {"X-Tier": "gold"}}, {"headers": {"x-tier": "gold"}}, True),
        ({"header": {"x-tier": "*"}}, {}, False),
        ({"metadata": {"plan": "p*", "x": "1"}}, {"metadata": {"plan": "pro"}}, False),
        ({"metadata": {"plan": "p*"}}, {"metadata": {"plan": "pro", "more": ""}}, True),
        ({"stream": True, "agent": ("a",)}, {"stream": True, "agent": "b"}, False),
    ],
)
def test_a_rule_holds_when_every_condition_does(when: dict[str, Any], facts: dict[str, Any], holds: bool) -> None:
    assert compile_when(When(**when))(Facts(**facts), NOON) is holds


@pytest.mark.parametrize(
    ("hours", "at", "holds"),
    [
        (("09:00", "17:00", ()), "2026-11-02T09:00", True),
        (("09:00", "17:00", ()), "2026-11-02T17:00", False),
        (("09:00", "24:00", ()), "2026-11-02T23:59", True),
        (("22:00", "06:00", ()), "2026-11-02T23:00", True),
        (("22:00", "06:00", ()), "2026-11-02T05:59", True),
        (("22:00", "06:00", ()), "2026-11-02T06:00", False),
        (("22:00", "06:00", ("mon",)), "2026-11-03T05:00", True),
        (("22:00", "06:00", ("mon",)), "2026-11-02T05:00", False),
        (("09:00", "17:00", ("sat", "sun")), "2026-11-02T12:00", False),
        (("00:00", "00:00", ()), "2026-11-02T12:00", True),
    ],
)
def test_hours_are_a_daily_window(hours: tuple[str, str, tuple[Any, ...]], at: str, holds: bool) -> None:
    start, end, days = hours
    when = When(hours=Hours(start=start, end=end, zone="UTC", days=days))
    assert compile_when(when)(Facts(), datetime.fromisoformat(at).replace(tzinfo=UTC)) is holds


def test_hours_are_local_to_their_zone() -> None:
    holds = compile_when(When(hours=Hours(start="09:00", end="10:00", zone="Europe/Berlin")))
    assert holds(Facts(), datetime(2026, 7, 1, 7, 30, tzinfo=UTC)), "summer time is two hours ahead"
    assert holds(Facts(), datetime(2026, 12, 1, 8, 30, tzinfo=UTC)), "winter time is one"


@pytest.mark.parametrize("text", ["", "8", "8:5", "08:60", "24:01", "a:00", "-1:00", "08:30:00"])
def test_what_is_no_time_of_day_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="not a time of day"):
        minute_of_day(text)


def test_a_glob_matches_the_whole_word() -> None:
    assert glob("gpt-*").match("gpt-5")
    assert not glob("gpt").match("gpt-5")
    assert not glob("gpt-?").match("my-gpt-5")
