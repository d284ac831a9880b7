"""Every path of the API, who may use it, and the application made of them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import web

from controller.api import (
    acts,
    bundles,
    dashboard,
    fleet,
    health,
    hooks,
    openapi,
    playground,
    problems,
    reports,
    signing_in,
    status,
    usage,
    use_cases,
)
from controller.api.answers import MAX_BODY_BYTES
from controller.api.guards import Access, answer_errors, guard, refuse_foreign_hosts
from controller.parts import PARTS, Parts

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    handler: Handler
    access: Access = Access.OPEN


ROUTES: Final = (
    Route("GET", "/v1/watch", bundles.watch, Access.SIDECAR),
    Route("GET", "/v1/bundle", bundles.current, Access.SIDECAR),
    Route("GET", "/v1/bundle/{digest}", bundles.by_digest, Access.SIDECAR),
    Route("POST", "/v1/status", fleet.note_status, Access.SIDECAR),
    Route("GET", "/v1/status", status.show, Access.READER),
    Route("GET", "/v1/fleet", fleet.show, Access.READER),
    Route("POST", "/v1/usage", usage.book, Access.SIDECAR),
    Route("GET", "/v1/usage", usage.show, Access.READER),
    Route("GET", "/v1/feedback", usage.show_feedback, Access.READER),
    Route("GET", "/v1/shadows", usage.show_shadows, Access.READER),
    Route("GET", "/v1/calls", usage.show_calls, Access.ADMIN),
    Route("GET", "/v1/spend", usage.show_spend, Access.SIDECAR),
    Route("POST", "/v1/pin", acts.handler(acts.PIN), Access.ADMIN),
    Route("POST", "/v1/unpin", acts.handler(acts.UNPIN), Access.ADMIN),
    Route("POST", "/v1/rollback", acts.handler(acts.ROLL_BACK), Access.ADMIN),
    Route("POST", "/v1/promote", acts.handler(acts.PROMOTE), Access.ADMIN),
    Route("POST", "/v1/suspend", acts.handler(acts.SUSPEND), Access.ADMIN),
    Route("POST", "/v1/resume", acts.handler(acts.RESUME), Access.ADMIN),
    Route("POST", "/v1/canary/stop", acts.handler(acts.STOP_CANARY), Access.ADMIN),
    Route("POST", "/v1/canary/resume", acts.handler(acts.RESUME_CANARY), Access.ADMIN),
    Route("GET", "/v1/problems", problems.show, Access.READER),
    Route("POST", "/hooks/git", hooks.note_push),
    Route("GET", "/", dashboard.overview, Access.PAGE),
    Route("GET", "/use-cases", use_cases.show_all, Access.PAGE),
    Route("GET", "/use-cases/{name}", use_cases.show, Access.PAGE),
    Route("GET", "/fleet", dashboard.fleet, Access.PAGE),
    Route("GET", "/rollout", dashboard.rollout, Access.PAGE),
    Route("POST", "/rollout", dashboard.act, Access.PERSON),
    Route("GET", "/calls", dashboard.calls, Access.PERSON),
    Route("GET", "/calls/{id}", dashboard.call, Access.PERSON),
    Route("GET", "/review", reports.show_review, Access.PAGE),
    Route("GET", "/audit", reports.show_audit, Access.PAGE),
    Route("GET", "/playground", playground.show, Access.PAGE),
    Route("POST", "/playground", playground.send, Access.PERSON),
    Route("GET", "/login", signing_in.show),
    Route("POST", "/login", signing_in.sign_in),
    Route("POST", "/logout", signing_in.sign_out, Access.PAGE),
    Route("GET", "/static/dashboard.css", dashboard.style),
    Route("GET", "/static/live.js", dashboard.script),
    Route("GET", "/static/icon.svg", dashboard.icon),
    Route("GET", "/healthz", health.alive),
    Route("GET", "/readyz", health.ready),
    Route("GET", "/metrics", health.metrics),
)
DOCUMENT: Final = "/openapi.json"


def build_api(parts: Parts) -> web.Application:
    api = web.Application(middlewares=[answer_errors, refuse_foreign_hosts], client_max_size=MAX_BODY_BYTES)
    api[PARTS] = parts
    api[playground.SENDING] = asyncio.Semaphore(playground.AT_ONCE)
    described = (*((route.method, route.path, route.access) for route in ROUTES), ("GET", DOCUMENT, Access.OPEN))
    api.router.add_get(DOCUMENT, openapi.handler(described))
    for route in ROUTES:
        api.router.add_route(route.method, route.path, guard(route.handler, route.access))
    return api
