"""What is due and when: reviews, evidence and drills that expire, models that go away, prices to come. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from controller.review.findings import Findings
from schemas.rules.rule_set import RuleSet

MAX_LINE_BYTES: Final = 75
"""RFC 5545, section 3.1: longer content lines are folded."""


@dataclass(frozen=True, slots=True, order=True)
class Due:
    day: date
    kind: str
    """`review`, `evidence`, `drill`, `model`, `price`."""
    about: str
    what: str


def due_dates(rules: RuleSet, findings: Findings, today: date) -> tuple[Due, ...]:
    """In the order of time; what is past is still due, prices apart."""
    return tuple(sorted({*_reviews(rules), *_expiries(findings), *_models(rules, today)}))


def _reviews(rules: RuleSet) -> Iterator[Due]:
    for name, file in rules.use_cases.items():
        if file.content.review is not None:
            yield Due(file.content.review.by, "review", name, f"review {name} ({file.content.owner})")


def _expiries(findings: Findings) -> Iterator[Due]:
    newest = {}
    for one in sorted(findings.compared, key=lambda one: (one.created, one.file)):
        newest[one.use_case, one.incumbent, one.candidate] = one
    for one in newest.values():
        what = f"evidence on {one.candidate} against {one.incumbent} for {one.use_case} expires"
        yield Due(one.expires, "evidence", one.use_case, what)
    for use_case in {drill.use_case for drill in findings.drilled}:
        for drill in findings.newest_drills(use_case):
            what = f"the drill of {use_case} without {', '.join(drill.down)} expires"
            yield Due(drill.expires, "drill", use_case, what)


def _models(rules: RuleSet, today: date) -> Iterator[Due]:
    for name, file in rules.models.items():
        model = file.content
        if model.deprecated is not None and model.deprecated.retires is not None:
            yield Due(model.deprecated.retires, "model", name, f"its vendor ends {name}")
        rows = [*model.prices, *(row for served in model.served_by for row in served.prices or ())]
        for row in rows:
            if row.since > today:
                yield Due(row.since, "price", name, f"new prices of {name}")


def as_ics(dues: Sequence[Due], today: date) -> str:
    """RFC 5545: an event of a day each."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Pointsman//Review//EN"]
    for due in dues:
        lines += [
            "BEGIN:VEVENT", f"UID:{due.day:%Y%m%d}-{due.kind}-{_slug(due.what)}@pointsman",
            f"DTSTAMP:{today:%Y%m%d}T000000Z", f"DTSTART;VALUE=DATE:{due.day:%Y%m%d}",
            f"DTEND;VALUE=DATE:{due.day + timedelta(days=1):%Y%m%d}", f"SUMMARY:{_escaped(due.what)}",
            f"CATEGORIES:{due.kind}", "END:VEVENT",
        ]  # fmt: skip
    return "".join(f"{part}\r\n" for line in [*lines, "END:VCALENDAR"] for part in _folded(line))


def _slug(text: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text.lower())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> Iterator[str]:
    """No character is cut in two; a line that goes on begins with a space, which counts."""
    part = ""
    for letter in line:
        if len((part + letter).encode()) > MAX_LINE_BYTES:
            yield part
            part = " "
        part += letter
    yield part
