"""The playground's doors: explain what runs, and send a prompt where the operator has named a sidecar for it."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import aiohttp
import msgspec
from aiohttp import web

from controller import logs
from controller.api.guards import VIEWER
from controller.api.pages import form_of, shown
from controller.dashboard.playground import MAX_PROMPT, Asked, Sent, playground_page
from controller.explain import NotUnderstood, explain, read_facts, read_given
from controller.parts import PARTS, Parts
from sidecar.routing.explain import Explanation
from sidecar.routing.snapshot import Snapshot, build_snapshot

SEND_SECONDS: Final = 120.0
MAX_OUTPUT_TOKENS: Final = 1024
MAX_ANSWER_BYTES: Final = 1 << 20
AT_ONCE: Final = 2
"""Prompts on their way; a further one is refused."""
NO_RULES: Final = "No rules run yet: see GET /v1/problems for the reason."

SENDING: web.AppKey[asyncio.Semaphore] = web.AppKey("sending", asyncio.Semaphore)


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Error(msgspec.Struct):
    message: str = ""


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []
    error: _Error | None = None


async def show(request: web.Request) -> web.Response:
    """`GET /playground?use_case=…&facts={…}&given={…}`: no prompt stands in an address."""
    parts, given = request.app[PARTS], request.query
    asked = Asked(given.get("use_case", ""), given.get("facts") or "{}", given.get("given") or "{}")
    snapshot = await _snapshot(parts)
    if snapshot is None:
        return shown(request, playground_page((), asked, trouble=NO_RULES), request[VIEWER])
    explanation: Explanation | None = None
    trouble, status = "", 200
    if asked.use_case:
        try:
            now = datetime.fromtimestamp(parts.now(), UTC)
            explanation = explain(snapshot, asked.use_case, read_facts(asked.facts), read_given(asked.given), now=now)
        except NotUnderstood as error:
            trouble, status = str(error), 400
    page = playground_page(sorted(snapshot.use_cases), asked, explanation=explanation,
                           may_send=parts.playground is not None, trouble=trouble)  # fmt: skip
    return shown(request, page, request[VIEWER], status=status)


async def send(request: web.Request) -> web.Response:
    """`POST /playground`: `use_case` and `prompt`."""
    parts, viewer = request.app[PARTS], request[VIEWER]
    form = await form_of(request, viewer)
    use_case, prompt = form.get("use_case", ""), form.get("prompt", "")
    snapshot = await _snapshot(parts)
    names = () if snapshot is None else sorted(snapshot.use_cases)
    sent, trouble = None, ""
    if parts.playground is None:
        trouble = "This controller sends no prompts: it was started without --playground-sidecar."
    elif use_case not in names:
        trouble = f"No use case {use_case[:80]!r} runs."
    elif not prompt or len(prompt) > MAX_PROMPT:
        trouble = f"A prompt has 1 to {MAX_PROMPT:,} characters."
    elif request.app[SENDING].locked():
        trouble = f"{AT_ONCE} prompts are on their way; wait for one of them."
    else:
        logs.event("playground.sent", by=f"{viewer.name} at {request.remote}", use_case=use_case)
        async with request.app[SENDING]:
            sent, trouble = await _ask(parts.playground, use_case, prompt)
    page = playground_page(names, Asked(use_case), sent=sent, may_send=parts.playground is not None, trouble=trouble)
    return shown(request, page, viewer, status=200 if sent is not None else 400)


async def _snapshot(parts: Parts) -> Snapshot | None:
    bundle, _ = await asyncio.to_thread(parts.publisher.running_and_earlier)
    return None if bundle is None else await asyncio.to_thread(build_snapshot, bundle)


async def _ask(sidecar: str, use_case: str, prompt: str) -> tuple[Sent | None, str]:
    """The answer, or why there is none."""
    body = {"model": use_case, "messages": [{"role": "user", "content": prompt}], "max_tokens": MAX_OUTPUT_TOKENS}
    timeout = aiohttp.ClientTimeout(total=SEND_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{sidecar}/v1/chat/completions", json=body, allow_redirects=False) as answer,
        ):
            said = await answer.content.read(MAX_ANSWER_BYTES)
            headers = {name.lower(): value for name, value in answer.headers.items()}
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return None, f"The sidecar at {sidecar} cannot be asked: {type(error).__name__}"
    own = {name: value for name, value in headers.items() if name.startswith("x-pointsman-")}
    try:
        found = msgspec.json.decode(said, type=_Answer)
    except msgspec.DecodeError:
        return None, f"The sidecar at {sidecar} answered {answer.status}, and not as a sidecar does."
    if found.error is not None:
        return Sent(f"{answer.status}: {found.error.message}", own), ""
    return Sent("\n".join(choice.message.content or "" for choice in found.choices), own), ""
