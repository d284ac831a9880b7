"""The doors of the use cases' pages: what the ledger, the repository and the channel say of them, gathered."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from aiohttp import web
from sqlalchemy import Connection

from controller.api.guards import VIEWER
from controller.api.pages import shown
from controller.canaries.state import Canary
from controller.dashboard.use_case.page import Known, use_case_page
from controller.dashboard.use_cases import KEYS, use_cases_page
from controller.errors import ApiError, LedgerUnavailable, Refused, SourceUnavailable
from controller.evals.canary_figures import Look
from controller.history import Step, Written
from controller.ledger.canary import progress_of
from controller.ledger.query import Days, Question, Row, ask
from controller.ledger.traffic import Traffic, traffic_of
from controller.parts import PARTS, Parts
from schemas.bundle import Bundle
from schemas.problems import did_you_mean
from schemas.spend import FleetSpend

LIST_DAYS: Final = 7
PAGE_DAYS: Final = 30
"""Today included."""


async def show_all(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    today = _today(parts)
    bundle, _ = await asyncio.to_thread(parts.publisher.running_and_earlier)
    written, trouble = await _written(parts, bundle, today)
    spend, sums = await asyncio.to_thread(_spend_and_sums, parts, today)
    page = use_cases_page(bundle, None if written is None else written.rules, spend, sums,
                          parts.publisher.channel.canaries, today=today, days=LIST_DAYS, trouble=trouble)  # fmt: skip
    return shown(request, page, request[VIEWER])


async def show(request: web.Request) -> web.Response:
    """`GET /use-cases/{name}`."""
    parts, name = request.app[PARTS], request.match_info["name"]
    until = _today(parts)
    since = until - timedelta(days=PAGE_DAYS - 1)
    bundle, _ = await asyncio.to_thread(parts.publisher.running_and_earlier)
    channel = parts.publisher.channel
    canaries = [one for one in (*channel.canaries, *channel.past_canaries) if one.use_case == name]
    spend, traffic, looks = await asyncio.to_thread(_books, parts, name, since, until, canaries)
    if bundle is None or name not in bundle.use_cases:
        if traffic is None or not traffic.sums:
            raise _unknown(name, bundle)
        written, steps, trouble = None, None, ""
    else:
        written, trouble = await _written(parts, bundle, until)
        steps, told = await _steps(parts, name, bundle)
        trouble = trouble or told
    known = Known(
        name, since, until, bundle, written, steps, canaries, parts.canaries.waits_for.get(name, ""), spend, traffic,
        looks, trouble,
    )  # fmt: skip
    return shown(request, use_case_page(known), request[VIEWER])


def _unknown(name: str, bundle: Bundle | None) -> ApiError:
    known = () if bundle is None else sorted(bundle.use_cases)
    hint = did_you_mean(name, known) or f"known: {', '.join(known) or 'none, as no rules run yet'}"
    return ApiError(404, "unknown_use_case", f"no use case {name[:80]!r} runs, and no call of it is booked; {hint}")


async def _written(parts: Parts, bundle: Bundle | None, today: date) -> tuple[Written | None, str]:
    """What the files of the revision that runs say, or why that is not known."""
    if bundle is None:
        return None, ""
    try:
        return await parts.history.written(bundle.revision, today), ""
    except (SourceUnavailable, Refused) as error:
        return None, f"{error}"


async def _steps(parts: Parts, name: str, bundle: Bundle) -> tuple[list[Step] | None, str]:
    try:
        return await parts.history.steps(name, bundle), ""
    except SourceUnavailable as error:
        return None, f"{error}"


def _spend_and_sums(parts: Parts, today: date) -> tuple[FleetSpend | None, list[Row] | None]:
    question = Question(KEYS, Days(since=today - timedelta(days=LIST_DAYS - 1)))
    try:
        return parts.ledger.spend(), parts.ledger.read(lambda connection: ask(connection, question))
    except LedgerUnavailable:
        return None, None


def _books(
    parts: Parts, name: str, since: date, until: date, canaries: Sequence[Canary]
) -> tuple[FleetSpend | None, Traffic | None, list[Look] | None]:
    """None for what cannot be read."""
    judged = next((canary for canary in canaries if canary.is_judged), None)

    def look(connection: Connection) -> tuple[Traffic, list[Look]]:
        traffic = traffic_of(connection, name, since, until)
        return traffic, [] if judged is None else progress_of(connection, judged)

    try:
        return parts.ledger.spend(), *parts.ledger.read(look)
    except LedgerUnavailable:
        return None, None, None


def _today(parts: Parts) -> date:
    return datetime.fromtimestamp(parts.now(), UTC).date()
