"""The books' doors: batches in from sidecars; sums, single calls and what was spent out."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web
from sqlalchemy import Connection

from controller.api.answers import answer, parse_as
from controller.api.guards import SCOPE
from controller.errors import ApiError, LedgerBusy, LedgerUnavailable
from controller.ledger import calls, feedback, query, shadows
from controller.ledger.booking import faults_of, faults_of_feedback
from controller.parts import PARTS
from schemas.record import UsageBatch

T = TypeVar("T")


async def book(request: web.Request) -> web.Response:
    """`POST /v1/usage`: answers once it is durable. 400 is final for these bytes; 503 asks to send them again."""
    parts = request.app[PARTS]
    # Thousands of records take long enough to hold up every open stream: not on the event loop.
    batch = await asyncio.to_thread(_parse, await request.read())
    started = time.perf_counter()
    try:
        receipt = await parts.ledger.book(batch.records, batch.feedback)
    except LedgerBusy as error:
        parts.metrics.unbooked_batches.inc()
        raise ApiError(503, "ledger_busy", str(error), retry_after_seconds=1) from error
    except LedgerUnavailable as error:
        parts.metrics.unbooked_batches.inc()
        raise ApiError(503, "ledger_unavailable", "the ledger cannot be written", retry_after_seconds=5) from error
    parts.metrics.booking_seconds.observe(time.perf_counter() - started)
    parts.metrics.booked.inc(receipt.booked)
    parts.metrics.known.inc(receipt.known)
    if receipt.spend is not None:
        seen = parts.scoped.spend(receipt.spend, request[SCOPE])
        receipt = msgspec.structs.replace(receipt, spend=seen)
    return answer(receipt)


def _parse(body: bytes) -> UsageBatch:
    batch = parse_as(body, UsageBatch)
    for number, record in enumerate(batch.records):
        for fault in faults_of(record):
            raise ApiError(400, "bad_record", f"records[{number}].{fault}")
    for number, said in enumerate(batch.feedback):
        for fault in faults_of_feedback(said):
            raise ApiError(400, "bad_record", f"feedback[{number}].{fault}")
    return batch


async def show(request: web.Request) -> web.Response:
    """`GET /v1/usage?by=…&since=…&until=…`: sums."""
    given = request.query
    try:
        question = query.parse_question(by=given.get("by"), since=given.get("since"), until=given.get("until"))
    except query.BadQuestion as error:
        raise ApiError(400, "bad_query", str(error)) from error
    return answer({"rows": await _read(request, lambda connection: query.ask(connection, question))})


async def show_calls(request: web.Request) -> web.Response:
    """`GET /v1/calls?since=…&until=…&after=…&limit=…`: single calls, a page at a time; the first one says how many."""
    given = request.query
    try:
        days = query.parse_days(since=given.get("since"), until=given.get("until"))
        after = calls.parse_cursor(given.get("after"))
        limit = calls.parse_limit(given.get("limit"))
    except query.BadQuestion as error:
        raise ApiError(400, "bad_query", str(error)) from error

    def look(connection: Connection) -> dict[str, object]:
        page = calls.page(connection, days, after, limit)
        total = {"total": calls.count(connection, days)} if after is None else {}
        following = None if page.next is None else calls.encode_cursor(page.next)
        return {"calls": page.calls, "next": following, **total}

    return answer(await _read(request, look))


async def show_feedback(request: web.Request) -> web.Response:
    """`GET /v1/feedback?by=…&since=…&until=…`: scores by kind, of calls of these days."""
    given = request.query
    try:
        question = query.parse_question(by=given.get("by"), since=given.get("since"), until=given.get("until"))
    except query.BadQuestion as error:
        raise ApiError(400, "bad_query", str(error)) from error
    return answer(await _read(request, lambda connection: feedback.ask(connection, question)))


async def show_shadows(request: web.Request) -> web.Response:
    """`GET /v1/shadows?since=…&until=…`: what shadows answered beside what callers were answered."""
    try:
        days = query.parse_days(since=request.query.get("since"), until=request.query.get("until"))
    except query.BadQuestion as error:
        raise ApiError(400, "bad_query", str(error)) from error
    return answer({"rows": await _read(request, lambda connection: shadows.compare(connection, days))})


async def show_spend(request: web.Request) -> web.Response:
    """`GET /v1/spend`: what ceilings are held against."""
    try:
        parts = request.app[PARTS]
        return answer(parts.scoped.spend(parts.ledger.spend(), request[SCOPE]))
    except LedgerUnavailable as error:
        raise _unreadable() from error


async def _read(request: web.Request, look: Callable[[Connection], T]) -> T:
    try:
        return await asyncio.to_thread(request.app[PARTS].ledger.read, look)
    except LedgerUnavailable as error:
        raise _unreadable() from error


def _unreadable() -> ApiError:
    return ApiError(503, "ledger_unavailable", "the ledger cannot be read just now", retry_after_seconds=5)
