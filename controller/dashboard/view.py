"""A page as plain values, before it is HTML, JSON or CSV. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from controller.plots.charts import Chart


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
    cell_links: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Likewise for the cells of other columns, by the column's number."""
    chart: Chart | None = None
    """Of the same figures."""
    is_live: bool = False
    """It changes while somebody looks."""
    note: str = ""
    """What a reader must know of the figures."""


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
    texts: Sequence[tuple[str, str]] = ()
    """Titles, and texts whose lines and spaces count."""
    fact_links: Mapping[str, str] = field(default_factory=dict)
    """Where facts lead, by their names."""


MENU: Final = (
    ("/", "Overview"),
    ("/use-cases", "Use cases"),
    ("/fleet", "Fleet"),
    ("/rollout", "Rollout"),
    ("/calls", "Calls"),
    ("/review", "Review"),
    ("/audit", "Audit"),
    ("/playground", "Playground"),
)
