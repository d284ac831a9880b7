"""How sidecars get the rules: a stream that announces each pointer, the pointer by polling, a bundle by its digest."""

import asyncio
import random
import re
from typing import Final

from aiohttp import hdrs, web

from controller.api.answers import JSON, nothing_loaded
from controller.api.guards import SCOPE, scope_of_sidecar
from controller.errors import ApiError
from controller.parts import PARTS, Parts
from controller.publish import Publication
from schemas.bundle import KNOWS_STEERING
from schemas.scope import Scope

MAX_WAIT_SECONDS: Final = 55
"""Longest long poll: below the minute after which proxies commonly lose patience."""
MAX_ID_CHARACTERS: Final = 256


async def watch(request: web.Request) -> web.StreamResponse:
    """`GET /v1/watch?id=…`: server-sent events; at once the current pointer, then every new one, with pings between."""
    parts = request.app[PARTS]
    sidecar = request.query.get("id", "")
    if len(sidecar) > MAX_ID_CHARACTERS:
        raise ApiError(400, "malformed", f"id may have {MAX_ID_CHARACTERS} characters")
    if parts.publisher.current is None:
        raise nothing_loaded(parts.publisher)
    stream = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream", hdrs.CACHE_CONTROL: "no-store"})
    await stream.prepare(request)
    parts.metrics.watchers.inc()
    try:
        await _announce(request, stream, sidecar)
        await stream.write_eof()
    except TimeoutError:
        parts.metrics.dropped_watchers.inc()
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # the client left; there is nobody to tell
    finally:
        parts.metrics.watchers.dec()
    return stream


async def _announce(request: web.Request, stream: web.StreamResponse, sidecar: str) -> None:
    """Until the controller stops, or the sidecar is no longer who it was: its token has ended, its scope is another.

    Raises `TimeoutError` when the client does not read.
    """
    parts, scope = request.app[PARTS], request[SCOPE]
    sent = ""
    while True:
        publication = await _next(parts, sent)
        if publication is None or not await _still_sees(request, scope):
            return
        if publication.event_id == sent:
            pointer = publication.pointer
            frame = b'event: ping\ndata: {"epoch":%d,"seq":%d}\n\n' % (pointer.epoch, pointer.seq)
        else:
            frame = _seen(request, publication).event
        async with asyncio.timeout(parts.watch_times.write):
            await stream.write(frame)
        sent = publication.event_id
        if sidecar:
            parts.roster.note_alive(sidecar, scope)


async def _still_sees(request: web.Request, scope: Scope) -> bool:
    try:
        return await scope_of_sidecar(request) == scope
    except ApiError:
        return False


async def _next(parts: Parts, sent: str) -> Publication | None:
    """A newer publication, or after a while the same one again; None once the controller stops."""
    try:
        async with asyncio.timeout(parts.watch_times.ping * random.uniform(0.8, 1.2)):
            return await parts.publisher.newer_than(sent)
    except TimeoutError:
        return parts.publisher.current


async def current(request: web.Request) -> web.Response:
    """`GET /v1/bundle`: the signed pointer; 304 where `If-None-Match` knows it, later with `Prefer: wait=N`."""
    publisher = request.app[PARTS].publisher
    known = ""
    if publisher.current is not None and _is_known(request, _seen(request, publisher.current)):
        known = publisher.current.event_id
    publication = publisher.current
    wait = _wait_seconds(request)
    if wait and (publication is None or known):
        try:
            async with asyncio.timeout(wait):
                publication = await publisher.newer_than(known) or publisher.current
        except TimeoutError:
            publication = publisher.current
    if publication is None:
        raise nothing_loaded(publisher)
    seen = _seen(request, publication)
    headers = {hdrs.ETAG: f'"{seen.tag}"', hdrs.CACHE_CONTROL: "no-cache"}
    if publication.event_id == known:
        return web.Response(status=304, headers=headers)
    return web.Response(body=seen.body, content_type=JSON, headers=headers)


async def by_digest(request: web.Request) -> web.Response:
    """`GET /v1/bundle/{digest}`: the bundle's own bytes; they never change."""
    digest = request.match_info["digest"]
    data = request.app[PARTS].scoped.bundle(digest, request[SCOPE])
    if data is None:
        raise ApiError(404, "unknown_bundle", "this bundle is not kept; GET /v1/bundle names the current one")
    headers = {hdrs.ETAG: f'"{digest}"', hdrs.CACHE_CONTROL: "private, max-age=31536000, immutable"}
    return web.Response(body=data, content_type=JSON, headers=headers)


def _seen(request: web.Request, publication: Publication) -> Publication:
    """As this sidecar may see it, and can."""
    name, word = KNOWS_STEERING
    knows = word in request.query.getall(name, [])
    return request.app[PARTS].scoped.seen_by(publication, request[SCOPE], knows_steering=knows)


def _is_known(request: web.Request, publication: Publication) -> bool:
    """`If-None-Match` compares weakly (RFC 9110, 13.1.2)."""
    tags = request.if_none_match or ()
    return any(tag.value == publication.tag for tag in tags)


def _wait_seconds(request: web.Request) -> int:
    """The `wait` preference (RFC 7240, 4.3), bounded; 0 when there is none."""
    preferences = ",".join(request.headers.getall("Prefer", []))
    found = re.search(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?:$|[,;])", preferences, re.IGNORECASE)
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else 0
