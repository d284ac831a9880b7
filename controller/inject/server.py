"""The webhook's own port, by TLS as Kubernetes demands. The template is read again for each pod: admissions are few."""

import asyncio
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from controller import logs
from controller.errors import CannotStart
from controller.inject.review import NotAReview, answer_to
from controller.inject.template import BadTemplate, Template, parse_template

MAX_BYTES: Final = 8 << 20
"""An object is at most 3 MiB in etcd's default; a review holds it once or twice."""
PATH: Final = "/inject"


@dataclass(frozen=True, slots=True)
class Injection:
    """What `serve --inject` was told."""

    template: Path
    host: str
    port: int


def read_template(path: Path) -> Template:
    """Raises `BadTemplate`."""
    try:
        return parse_template(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadTemplate(f"it cannot be read: {error}") from error


async def start_webhook(injection: Injection, tls: ssl.SSLContext) -> web.AppRunner:
    """Gives it once it listens.

    Raises:
        CannotStart: the template is none, or the port cannot be had.
    """
    try:
        await asyncio.to_thread(read_template, injection.template)
    except BadTemplate as error:
        raise CannotStart(f"--inject {injection.template}: {error}") from error
    app = web.Application(client_max_size=MAX_BYTES)
    app.router.add_post(PATH, _Webhook(injection.template).review)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, injection.host, injection.port, ssl_context=tls).start()
    except OSError as error:
        await runner.cleanup()
        raise CannotStart(f"cannot listen on {injection.host}:{injection.port}: {error.strerror}") from error
    host, port, *_ = runner.addresses[0]
    logs.event("inject.listening", url=f"https://{host}:{port}{PATH}")
    return runner


class _Webhook:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._template: Template | None = None

    async def review(self, request: web.Request) -> web.Response:
        try:
            answer = answer_to(json.loads(await request.read()), await self._current())
        except (NotAReview, ValueError, RecursionError) as error:
            return web.json_response({"error": {"code": "not_a_review", "message": str(error)}}, status=400)
        if answer.outcome != "not_asked":
            logs.event("inject." + answer.outcome, namespace=answer.namespace, pod=answer.pod)
        return web.json_response(answer.document)

    async def _current(self) -> Template:
        """The last good one, where somebody has broken it since."""
        try:
            self._template = await asyncio.to_thread(read_template, self._path)
        except BadTemplate as error:
            if self._template is None:
                raise
            logs.warn("inject.bad_template", template=self._path, error=error)
        return self._template
