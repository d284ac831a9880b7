"""The books' two doors: batches in from sidecars, sums out to people."""

import asyncio
import sqlite3
import time

from aiohttp import web

from controller import logs
from controller.api.answers import answer, parse_as
from controller.errors import ApiError, LedgerBusy
from controller.ledger import query
from controller.ledger.booking import faults_of
from controller.parts import PARTS
from schemas.record import UsageBatch


async def book(request: web.Request) -> web.Response:
    """`POST /v1/usage`: answers once it is durable. 400 is final for these bytes; 503 asks to send them again."""
    parts = request.app[PARTS]
    # Thousands of records take long enough to hold up every open stream: not on the event loop.
    batch = await asyncio.to_thread(_parse, await request.read())
    started = time.perf_counter()
    try:
        receipt = await parts.ledger.book(batch.records)
    except LedgerBusy as error:
        parts.metrics.unbooked_batches.inc()
        raise ApiError(503, "ledger_busy", str(error), retry_after_seconds=1) from error
    except sqlite3.Error as error:
        parts.metrics.unbooked_batches.inc()
        logs.warn("ledger.failed", error=error)
        raise ApiError(503, "ledger_unavailable", "the ledger cannot be written", retry_after_seconds=5) from error
    parts.metrics.booking_seconds.observe(time.perf_counter() - started)
    parts.metrics.booked.inc(receipt.booked)
    parts.metrics.known.inc(receipt.known)
    return answer(receipt)


def _parse(body: bytes) -> UsageBatch:
    batch = parse_as(body, UsageBatch)
    for number, record in enumerate(batch.records):
        for fault in faults_of(record):
            raise ApiError(400, "bad_record", f"records[{number}].{fault}")
    return batch


async def show(request: web.Request) -> web.Response:
    """`GET /v1/usage?by=…&since=…&until=…`."""
    given = request.query
    try:
        question = query.parse_question(by=given.get("by"), since=given.get("since"), until=given.get("until"))
    except query.BadQuestion as error:
        raise ApiError(400, "bad_query", str(error)) from error
    rows = await asyncio.to_thread(query.ask, request.app[PARTS].ledger.path, question)
    return answer({"rows": rows})
