"""What a rule's `when` means: each condition that is named must hold."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from fnmatch import translate
from zoneinfo import ZoneInfo

from schemas.bundle import Hours, When
from sidecar.routing.facts import Facts

Condition = Callable[[Facts, datetime], bool]
"""Facts and the time in UTC."""

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def glob(pattern: str) -> re.Pattern[str]:
    """`*`, `?` and `[…]` as in a shell, case kept."""
    return re.compile(translate(pattern))


def compile_when(when: When) -> Condition:
    """Patterns and time zones are compiled once, when a bundle is activated.

    Raises:
        zoneinfo.ZoneInfoNotFoundError, ValueError: the time zone or a time of day is not one.
    """
    conditions = [condition for condition in map(lambda make: make(when), _MAKERS) if condition is not None]
    if len(conditions) == 1:  # by far the most rules
        return conditions[0]
    return lambda facts, at: all(condition(facts, at) for condition in conditions)


def _input_tokens(when: When) -> Condition | None:
    bounds = when.input_tokens
    if bounds is None:
        return None
    over, under = bounds.over, bounds.under
    return lambda facts, _at: (
        (over is None or facts.input_tokens > over) and (under is None or facts.input_tokens < under)
    )


def _needs(when: When) -> Condition | None:
    wanted = frozenset(when.needs)
    return (lambda facts, _at: wanted <= facts.needs) if wanted else None


def _stream(when: When) -> Condition | None:
    wanted = when.stream
    return None if wanted is None else (lambda facts, _at: facts.stream is wanted)


def _agent(when: When) -> Condition | None:
    patterns = [glob(pattern) for pattern in when.agent]
    return (lambda facts, _at: any(p.match(facts.agent) for p in patterns)) if patterns else None


def _caller(when: When) -> Condition | None:
    patterns = [glob(pattern) for pattern in when.caller]
    return (lambda facts, _at: any(p.match(facts.caller) for p in patterns)) if patterns else None


def _header(when: When) -> Condition | None:
    patterns = {name.lower(): glob(pattern) for name, pattern in when.header.items()}
    return (lambda facts, _at: _all_match(patterns, facts.headers)) if patterns else None


def _metadata(when: When) -> Condition | None:
    patterns = {name: glob(pattern) for name, pattern in when.metadata.items()}
    return (lambda facts, _at: _all_match(patterns, facts.metadata)) if patterns else None


def _all_match(patterns: Mapping[str, re.Pattern[str]], values: Mapping[str, str]) -> bool:
    return all(name in values and pattern.match(values[name]) for name, pattern in patterns.items())


def _hours(when: When) -> Condition | None:
    if when.hours is None:
        return None
    hours, zone = when.hours, ZoneInfo(when.hours.zone)
    start, end = minute_of_day(hours.start), minute_of_day(hours.end)
    return lambda _facts, at: _within(hours, start, end, at.astimezone(zone))


def _within(hours: Hours, start: int, end: int, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    if start < end:
        inside, began = start <= minute < end, local
    else:  # over midnight: the small hours belong to the day before
        inside = minute >= start or minute < end
        began = local if minute >= start else local - timedelta(days=1)
    return inside and (not hours.days or _DAYS[began.weekday()] in hours.days)


def minute_of_day(text: str) -> int:
    """`08:30` → 510; `24:00` is the day's end. Raises ValueError."""
    hour, separator, minute = text.partition(":")
    if not (separator and hour.isdigit() and minute.isdigit() and len(minute) == 2):
        raise ValueError(f'"{text}" is not a time of day; write it as "08:30"')
    total = int(hour) * 60 + int(minute)
    if int(minute) > 59 or total > 24 * 60:
        raise ValueError(f'"{text}" is not a time of day; it ends at "24:00"')
    return total


_MAKERS: tuple[Callable[[When], Condition | None], ...] = (
    _input_tokens,
    _needs,
    _stream,
    _agent,
    _caller,
    _header,
    _metadata,
    _hours,
)
