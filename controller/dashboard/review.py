"""The quarter's review as a page: the sections of `pointsman review`, each table with its CSV. Pure."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from controller.dashboard.view import Field, Form, Page, Table
from controller.review.period import Period, quarter_of
from controller.review.report import Section

QUARTERS: Final = 8
"""That can be chosen, the present one first."""
PATH: Final = "/review"


def review_page(period: Period, today: date, sections: Sequence[Section], *, trouble: Sequence[str] = ()) -> Page:
    """
    Args:
        sections: none: the rules cannot be read, and `trouble` says why.
        trouble: what cannot be known now.
    """
    tables: list[Table] = []
    texts: list[tuple[str, str]] = []
    for number, section in enumerate(sections):
        if section.diff:
            texts.append((section.title, section.diff))
        elif section.tables or section.lines:
            tables += _tables(number, section)
    form = Form(PATH, "Quarter", "Show", (_quarters(period, today),), needs_person=False, method="get")
    return Page(
        PATH, "Review", tables, warnings=trouble, forms=(form,), texts=texts,
        facts=(("from", str(period.first)), ("to", str(period.last)), ("judged on", str(today))),
    )  # fmt: skip


def quarter_name(period: Period) -> str:
    return f"{period.first.year}Q{(period.first.month + 2) // 3}"


def _tables(number: int, section: Section) -> list[Table]:
    said = " · ".join(section.lines)
    if not section.tables:
        return [Table(f"section-{number}", section.title, (), (), said)]
    found = []
    for place, (head, rows) in enumerate(section.tables):
        title = section.title if place == 0 else f"{section.title}: {head[0]}"
        links = [f"/use-cases/{row[0]}" for row in rows] if head[0] == "use case" else ()
        found.append(
            Table(f"section-{number}-{place}", title, head, rows, said or "None.", links, note="" if place else said)
        )
    return found


def _quarters(period: Period, today: date) -> Field:
    names, one = [], quarter_of(today)
    for _ in range(QUARTERS):
        names.append(quarter_name(one))
        one = quarter_of(date.fromordinal(one.first.toordinal() - 1))
    if quarter_name(period) not in names:
        names.append(quarter_name(period))
    return Field("quarter", "Quarter", value=quarter_name(period), choices=[(name, name) for name in names])
