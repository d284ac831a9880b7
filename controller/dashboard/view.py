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
    links: Sequence[str] = ()
    """Where the first cell of each row leads; empty: nowhere."""
    following: str = ""
    """Where the rows go on; empty: these are all."""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    label: str
    kind: str = "text"
    """`text`, `date`, `password`, `hidden` or, with `choices`, `select`."""
    value: str = ""
    choices: Sequence[tuple[str, str]] = ()
    """Value and words of each."""
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class Form:
    path: str
    title: str
    button: str
    fields: Sequence[Field]
    help: str = ""
    needs_person: bool = True
    """It acts: shown to those alone who may, and bound to them."""
    method: str = "post"


@dataclass(frozen=True, slots=True)
class Page:
    path: str
    title: str
    tables: Sequence[Table]
    facts: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()
    """What is wrong or cannot be known now: unknown is told, never shown as nothing."""
    forms: Sequence[Form] = ()


MENU: Final = (("/", "Overview"), ("/fleet", "Fleet"), ("/rollout", "Rollout"), ("/calls", "Calls"))
