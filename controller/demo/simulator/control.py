"""The control API of a simulated provider, under `/_sim/`: faults to have, and the journal of what it received."""

from typing import Any

import msgspec
from aiohttp import web

from controller.demo.simulator.calls import Provider
from controller.demo.simulator.faults import ActiveRule, FaultRule


def routes(provider: Provider) -> list[web.RouteDef]:
    async def add_fault(request: web.Request) -> web.Response:
        try:
            rule = msgspec.json.decode(await request.read(), type=FaultRule)
        except msgspec.DecodeError as error:
            return _json({"error": str(error)}, 400)
        return _json(_shown(provider.faults.add(rule)), 201)

    async def list_faults(request: web.Request) -> web.Response:
        return _json({"faults": [_shown(active) for active in provider.faults.rules]})

    async def clear_faults(request: web.Request) -> web.Response:
        provider.faults.clear()
        return web.Response(status=204)

    async def show_journal(request: web.Request) -> web.Response:
        model, since = request.query.get("model"), request.query.get("since", "0")
        if not since.isdigit():
            return _json({"error": "since is the number of an entry"}, 400)
        journal = provider.journal
        entries = [e for e in journal.entries if e.number > int(since) and (model is None or e.model == model)]
        head = {"name": provider.settings.name, "received": journal.received, "open": journal.open}
        return _json({**head, "entries": entries})

    async def clear_journal(request: web.Request) -> web.Response:
        provider.journal.clear()
        return web.Response(status=204)

    return [
        web.post("/_sim/faults", add_fault),
        web.get("/_sim/faults", list_faults),
        web.delete("/_sim/faults", clear_faults),
        web.get("/_sim/journal", show_journal),
        web.delete("/_sim/journal", clear_journal),
    ]


def _shown(active: ActiveRule) -> dict[str, Any]:
    rule = active.rule
    shown = {"id": active.id, "model": rule.model, "times": rule.times, "after": rule.after, "seen": active.seen}
    return {**shown, "fault": rule.fault}


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")
