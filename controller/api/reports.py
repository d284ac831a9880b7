"""The doors of the review and the audit: the same reports as the commands', from what runs and the ledger's sums."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from aiohttp import web

from controller.api.guards import VIEWER
from controller.api.pages import shown
from controller.api.rollout_view import view_now
from controller.audit.audit import audit
from controller.audit.booked import BY as AUDITED_BY
from controller.audit.booked import booked_rows
from controller.audit.rules import KnownRules, known_of
from controller.dashboard.audit import audit_page
from controller.dashboard.review import review_page
from controller.dashboard.view import Page
from controller.errors import ApiError, LedgerUnavailable, SourceUnavailable
from controller.ledger.query import Days, Question, Row, ask
from controller.parts import PARTS, Parts
from controller.review.calendar import due_dates
from controller.review.decide import review
from controller.review.diffs import propose
from controller.review.findings import UnreadableFinding, parse_canaries, parse_findings
from controller.review.period import Period, UnclearPeriod, parse_quarter, quarter_of
from controller.review.report import Section, sections
from controller.review.traffic import BY, Books
from controller.tree import Tree
from schemas.evidence_files import is_evidence
from schemas.load import load
from schemas.rules.rule_set import RuleSet

AUDIT_DAYS: Final = 90
NO_LEDGER: Final = "The ledger cannot be read just now: traffic and spend are unknown."
NO_RULES: Final = "No rules run yet: see GET /v1/problems for the reason."


@dataclass(frozen=True, slots=True)
class Running:
    """The files that the fleet runs by."""

    tree: Tree
    rules: RuleSet


async def show_review(request: web.Request) -> web.Response:
    """`GET /review?quarter=2026Q4`."""
    parts = request.app[PARTS]
    today = _today(parts)
    try:
        period = parse_quarter(request.query["quarter"]) if request.query.get("quarter") else quarter_of(today)
    except UnclearPeriod as error:
        raise ApiError(400, "bad_query", str(error)) from error
    running, trouble = await _running(parts, today)
    if running is None:
        return shown(request, review_page(period, today, (), trouble=(trouble,)), request[VIEWER])
    page = await asyncio.to_thread(_review, parts, running, period, today)
    return shown(request, page, request[VIEWER])


async def show_audit(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    today = _today(parts)
    running, trouble = await _running(parts, today)
    page = await asyncio.to_thread(_audit, parts, None if running is None else running.rules, trouble, today)
    return shown(request, page, request[VIEWER])


def _review(parts: Parts, running: Running, period: Period, today: date) -> Page:
    rows = _sums(parts, BY, period.first, period.last)
    books = None if rows is None else Books()
    for row in rows or ():
        assert books is not None
        books.add_sum(row)
    trouble = [] if rows is not None else [NO_LEDGER]
    evidence = {file: text for file, text in running.tree.files.items() if is_evidence(file)}
    try:
        findings = parse_findings(evidence)
    except UnreadableFinding as error:
        return review_page(period, today, (), trouble=[str(error)])
    findings = replace(findings, tried=parse_canaries(view_now(parts)))
    found = review(running.rules, findings, books, period, today)
    proposals = propose(found, running.rules, running.tree.files)
    parts_of_it: Sequence[Section] = sections(found, proposals, due_dates(running.rules, findings, today))
    return review_page(period, today, parts_of_it, trouble=trouble)


def _audit(parts: Parts, rules: RuleSet | None, trouble: str, today: date) -> Page:
    # Days tell apart what invoices bill, and this page has none: with them there would be ninety times the rows.
    by = tuple(key for key in AUDITED_BY if key != "day")
    rows = _sums(parts, by, today - timedelta(days=AUDIT_DAYS - 1), today)
    told = tuple(filter(None, (trouble, NO_LEDGER if rows is None else "")))
    if rules is None and rows is None:
        return audit_page(None, AUDIT_DAYS, trouble=told)
    booked = None if rows is None else booked_rows(rows)
    known = KnownRules() if rules is None else known_of(rules)
    return audit_page(audit(known, (), booked, ()), AUDIT_DAYS, trouble=told)


async def _running(parts: Parts, today: date) -> tuple[Running | None, str]:
    """The rules that run, or why they cannot be read."""
    pointer = parts.publisher.pointer
    if pointer is None:
        return None, NO_RULES
    try:
        tree = await parts.source.look_back(pointer.revision)
    except SourceUnavailable as error:
        return None, f"The rules that run cannot be read just now: {error}"
    loaded = await asyncio.to_thread(load, tree.files, today=today, revision=tree.revision)
    if loaded.rule_set is None:
        return None, f"The rules of {pointer.revision[:12]} cannot be read by this version."
    return Running(tree, loaded.rule_set), ""


def _sums(parts: Parts, by: tuple[str, ...], since: date, until: date) -> list[Row] | None:
    """None while the ledger cannot be read."""
    question = Question(by, Days(since, until))
    try:
        return parts.ledger.read(lambda connection: ask(connection, question))
    except LedgerUnavailable:
        return None


def _today(parts: Parts) -> date:
    return datetime.fromtimestamp(parts.now(), UTC).date()
