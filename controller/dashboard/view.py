"""A page as plain values, before it is HTML, JSON or CSV. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    """In the address of its CSV: lower-case letters and dashes."""
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str
    """What stands there without rows: what to do about it."""


@dataclass(frozen=True, slots=True)
class Page:
    path: str
    title: str
    tables: Sequence[Table]
    facts: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()
    """What is wrong or cannot be known now: unknown is told, never shown as nothing."""


MENU: Final = (("/", "Overview"), ("/fleet", "Fleet"), ("/rollout", "Rollout"))
