"""The simulated provider as an aiohttp application, and as a running server on a loopback port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from controller.demo.simulator import control
from controller.demo.simulator.anthropic_messages import AnthropicMessages
from controller.demo.simulator.calls import Call, Provider, key_of
from controller.demo.simulator.dialect import SimulatedDialect
from controller.demo.simulator.models import anthropic_model, anthropic_models, openai_model, openai_models
from controller.demo.simulator.openai_chat import OpenAIChat
from controller.demo.simulator.settings import SimulatorSettings

MAX_BODY_BYTES = 64 * 1024 * 1024  # twice what Anthropic takes
OPENAI = OpenAIChat()
ANTHROPIC = AnthropicMessages()


def create_app(settings: SimulatorSettings) -> web.Application:
    """The application. Host it with `handler_cancellation=True`, or a client that leaves is noticed late."""
    provider = Provider(settings)
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.add_routes([*_routes(provider), *control.routes(provider)])

    async def stop(app: web.Application) -> None:
        provider.stopping.set()

    async def close(app: web.Application) -> None:
        provider.journal.close()

    app.on_shutdown.append(stop)
    app.on_cleanup.append(close)
    return app


@asynccontextmanager
async def serving(settings: SimulatorSettings, port: int = 0) -> AsyncIterator[str]:
    """Runs a simulated provider on 127.0.0.1 and gives its root URL; port 0 takes a free one."""
    runner = web.AppRunner(create_app(settings), handler_cancellation=True, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _routes(provider: Provider) -> list[web.RouteDef]:
    async def chat(request: web.Request) -> web.StreamResponse:
        return await Call(provider, OPENAI, request).answer()

    async def messages(request: web.Request) -> web.StreamResponse:
        return await Call(provider, ANTHROPIC, request).answer()

    async def count_tokens(request: web.Request) -> web.StreamResponse:
        return await Call(provider, ANTHROPIC, request).count()

    async def models(request: web.Request) -> web.Response:
        dialect = _asking(request)
        key = key_of(request.headers)
        if not provider.accepts(key):
            return web.json_response(dialect.wrong_key(key), status=401)
        known, wanted = provider.settings.models, request.match_info.get("model")
        if wanted is None:
            return web.json_response(anthropic_models(known) if dialect is ANTHROPIC else openai_models(known))
        if not provider.serves(wanted):
            return web.json_response(dialect.unknown_model(wanted), status=404)
        return web.json_response(anthropic_model(wanted) if dialect is ANTHROPIC else openai_model(wanted))

    return [
        web.post("/v1/chat/completions", chat),
        web.post("/v1/messages", messages),
        web.post("/v1/messages/count_tokens", count_tokens),
        web.get("/v1/models", models),
        web.get("/v1/models/{model:.+}", models),
    ]


def _asking(request: web.Request) -> SimulatedDialect:
    return ANTHROPIC if "anthropic-version" in request.headers else OPENAI
