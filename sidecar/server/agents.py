"""The port that agents call: one handler per path, one translation of errors into the caller's own dialect."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from schemas.problems import did_you_mean
from sidecar.core.call import Inbound, PlainReply
from sidecar.core.counting import TokenCounter
from sidecar.core.operations import PASSING
from sidecar.core.pipeline import Pipeline
from sidecar.dialects.base import InPath
from sidecar.dialects.gemini.paths import parse_path
from sidecar.dialects.passing import OPENAI_PASSING
from sidecar.errors import GatewayError, MalformedRequest, UnknownPath, UnknownUseCase, WrongMethod
from sidecar.ports import Clock
from sidecar.routing.explain import explained
from sidecar.routing.facts import parse_facts
from sidecar.routing.scope import for_facts
from sidecar.routing.usecase import may_ask, say_unknown, use_case_of_model
from sidecar.rules.store import RuleStore
from sidecar.server.asked import Asked
from sidecar.server.calls import JSON, Calls, pump, stream_headers, too_large
from sidecar.server.passthrough import PASSED, Passed, PassThrough, is_json, read_form
from sidecar.server.paths import (
    CALL_PATHS,
    FEEDBACK_PATH,
    MODEL_PATHS,
    MODELS_PATHS,
    POST_PATHS,
    SERVED_PATHS,
    Served,
    served_at,
)
from sidecar.server.plain_calls import PlainCalls
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.recent import RecentCalls
from sidecar.trace_context import ContextFor, as_it_came

ASKED = web.RequestKey("asked", Asked)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AgentPort:
    """Handlers, with what they need."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        counter: TokenCounter,
        passthrough: PassThrough,
        store: RuleStore,
        clock: Clock,
        metrics: Metrics,
        recent: RecentCalls,
        allowed_hosts: frozenset[str],
        max_body_bytes: int,
        context_for: ContextFor = as_it_came,
    ) -> None:
        self._pipeline = pipeline
        self._passthrough = passthrough
        self._clock = clock
        self._recent = recent
        self._calls = Calls(
            pipeline=pipeline,
            counter=counter,
            store=store,
            clock=clock,
            metrics=metrics,
            allowed_hosts=allowed_hosts,
            context_for=context_for,
        )
        self.plain = PlainCalls(self._calls)
        self.max_body_bytes = max_body_bytes

    @property
    def calls_open(self) -> int:
        return len(self._calls.open)

    def end_open_calls(self) -> None:
        """The time to drain is over."""
        self._calls.end_open()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=self.max_body_bytes, middlewares=[self._edge])
        for path, served in POST_PATHS.items():
            app.router.add_post(path.replace("{model}", "{model:.+}"), self._answering(served))
        for passed in PASSED:
            app.router.add_route(passed.method, passed.path, self._passing(passed))
        for path in MODELS_PATHS:
            app.router.add_get(path, self._models)
        for path in MODEL_PATHS:
            app.router.add_get(path.replace("{model}", "{model:.+}"), self._model)
            # A method of Google's that is not among CALL_PATHS: no such path, rather than one that takes GET.
            app.router.add_post(path.replace("{model}", "{model:.+}"), _nothing)
        app.router.add_post(FEEDBACK_PATH, self._feedback)
        app.router.add_post("/pointsman/explain", self._explain)
        app.router.add_get("/pointsman/calls", self._recent_calls)
        app.router.add_get("/pointsman/calls/{id}", self._recent_call)
        return app

    @web.middleware
    async def _edge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Guards the door, and says every error in the caller's dialect."""
        path = request.rel_url.raw_path
        asked = Asked(self._calls.new_id(), path, request.query, request.headers, parse_path(path))
        request[ASKED] = asked
        try:
            self._calls.guard(request.headers)
            return await handler(request)
        except web.HTTPException as http:
            error: Exception = _our_own(http, request, self.max_body_bytes)
        except ConnectionError:
            if request.transport is not None and not request.transport.is_closing():
                raise
            return web.Response()  # to nobody: its caller has left, and the call is on the books
        except Exception as failed:
            error = failed
        return _response(self._calls.refusal(error, asked))

    def _answering(self, served: Served) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            task = asyncio.current_task()
            assert task is not None
            asked, opened = request[ASKED], self._calls.open
            opened[task] = None
            try:
                reply = await self._calls.reply(asked, served, lambda: self._whole_body(request))
                if isinstance(reply, PlainReply):
                    response: web.StreamResponse = _response(reply)
                    await response.prepare(request)
                else:
                    opened[task] = reply
                    response = web.StreamResponse(status=reply.status, headers=stream_headers(reply, asked))

                    async def write(data: bytes) -> None:
                        if not response.prepared:
                            await response.prepare(request)
                        await response.write(data)

                    try:
                        await pump(reply, asked, write)
                    except Exception:
                        if response.prepared and request.transport is not None:
                            request.transport.abort()  # half a stream, not a second answer inside the first
                        raise
                await response.write_eof()
                if reply.after is not None:
                    reply.after()
                return response
            finally:
                del opened[task]

        return answer

    def _passing(self, passed: Passed) -> Handler:
        served = Served(OPENAI_PASSING, PASSING)

        async def pass_on(request: web.Request) -> web.StreamResponse:
            task = asyncio.current_task()
            assert task is not None
            self._calls.open[task] = None
            try:
                inbound = await self._calls.inbound(request[ASKED], served, lambda: self._json_body(request))
                form = await read_form(request, passed, self.max_body_bytes)
                if form is not None:
                    inbound = msgspec.structs.replace(inbound, in_path=InPath(form.value))
                return await self._passthrough.answer(inbound, request, passed, form)
            finally:
                del self._calls.open[task]

        return pass_on

    async def _whole_body(self, request: web.Request) -> bytes:
        if (request.content_length or 0) > self.max_body_bytes:
            raise too_large(self.max_body_bytes)
        return await _body_of(request)

    async def _json_body(self, request: web.Request) -> bytes:
        """Empty where it is a form or a file, which may be of any size and is not held."""
        return await self._whole_body(request) if is_json(request) else b""

    async def _models(self, request: web.Request) -> web.StreamResponse:
        """The use cases that this caller may ask for, each as a model."""
        snapshot = self._calls.snapshot()
        caller = self._calls.caller_of(request[ASKED], snapshot)
        names = [
            (name, use_case.owner) for name, use_case in sorted(snapshot.use_cases.items()) if may_ask(caller, name)
        ]
        body = request[ASKED].dialect.encode_models(names, int(self._clock.now()))
        return web.Response(body=body, content_type="application/json")

    async def _model(self, request: web.Request) -> web.StreamResponse:
        """One of them, also by an alias: agents look up the name that they are going to send."""
        if (in_path := request[ASKED].in_path) is not None:
            raise WrongMethod(f"{in_path.method} takes POST, not {request.method}")
        snapshot = self._calls.snapshot()
        caller = self._calls.caller_of(request[ASKED], snapshot)
        name = request.match_info["model"]
        use_case = use_case_of_model(snapshot, name)
        if use_case is None or not may_ask(caller, use_case):
            hint = did_you_mean(name, [known for known in snapshot.use_cases if may_ask(caller, known)])
            raise UnknownUseCase(f'no model of yours is named "{name}"; {hint or "GET /v1/models lists them"}')
        owner = snapshot.use_cases[use_case].owner
        body = request[ASKED].dialect.encode_model(name, owner, int(self._clock.now()))
        return web.Response(body=body, content_type="application/json")

    async def _explain(self, request: web.Request) -> web.StreamResponse:
        """Where a call would go now and why, without calling anyone.

        `{"use_case", "facts"}`, or a request as it would be sent: `{"path", "headers", "body"}`.
        """
        snapshot = self._calls.snapshot()
        caller = self._calls.caller_of(request[ASKED], snapshot)
        try:
            asked = msgspec.json.decode(await _body_of(request), type=_Question)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedRequest(f"explain takes a JSON object: {error}") from error
        body = bytes(asked.body)
        if body:
            path = asked.path.partition("?")[0]
            found = served_at(path)
            if found is None or found[0].counting is not None:
                raise MalformedRequest(f'path must be one of {", ".join(CALL_PATHS)}, not "{path}"')
            served, in_path = found
            headers = {name.lower(): value for name, value in asked.headers.items()}
            now, started = self._clock.now(), self._clock.monotonic()
            whole = (served.dialect, body, headers, snapshot, caller, now, started, in_path)
            plan = self._pipeline.explain(Inbound(request[ASKED].id, *whole, served.operation))
        else:
            use_case = snapshot.use_cases.get(asked.use_case)
            if use_case is None or not may_ask(caller, asked.use_case):
                message = f'no use case of yours is named "{asked.use_case}"'
                raise UnknownUseCase(say_unknown(snapshot, caller, message, asked.use_case))
            try:
                facts = parse_facts(asked.facts)
            except ValueError as error:
                raise MalformedRequest(str(error)) from error
            plan = self._pipeline.plan_for(
                for_facts(use_case, facts), facts, datetime.fromtimestamp(self._clock.now(), UTC)
            )
        return web.Response(body=msgspec.json.encode(explained(plan)), content_type="application/json")

    async def _recent_call(self, request: web.Request) -> web.StreamResponse:
        caller = self._calls.caller_of(request[ASKED], self._calls.snapshot())
        record = self._recent.get(request.match_info["id"])
        if record is None or (caller is not None and record.caller != caller.name):
            raise UnknownPath("no recent call of yours has this id")
        shown = {**msgspec.to_builtins(record), "feedback": self._pipeline.books.answered.said_of(record.id)}
        return web.Response(body=msgspec.json.encode(shown), content_type="application/json")

    async def _feedback(self, request: web.Request) -> web.StreamResponse:
        """202: it is on disk, and on its way to the ledger."""
        snapshot = self._calls.snapshot()
        caller = self._calls.caller_of(request[ASKED], snapshot)
        feedback = self._pipeline.feedback.take(await self._whole_body(request), request.headers, caller, snapshot)
        return web.Response(status=202, body=msgspec.json.encode(feedback), content_type="application/json")

    async def _recent_calls(self, request: web.Request) -> web.StreamResponse:
        """Those that an agent made: whoever broke off and does not know their ids finds here what they cost."""
        caller = self._calls.caller_of(request[ASKED], self._calls.snapshot())
        agent = request.query.get("agent")
        if not agent:
            raise MalformedRequest("say whose calls: /pointsman/calls?agent=NAME")
        found = [record for record in self._recent.of_agent(agent) if caller is None or record.caller == caller.name]
        return web.Response(body=msgspec.json.encode({"calls": found}), content_type="application/json")


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    use_case: str = ""
    facts: dict[str, object] = {}
    path: str = "/v1/chat/completions"
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw()
    """Empty: `use_case` and `facts` are asked about. (With None beside it msgspec takes None alone.)"""


async def _body_of(request: web.Request) -> bytes:
    """Raises MalformedRequest: not what its own headers say, such as a body that is not compressed as they name it."""
    try:
        return await request.read()
    except RequestPayloadError as error:
        raise MalformedRequest("the body cannot be read: it is not encoded as its headers say") from error


async def _nothing(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


def _response(reply: PlainReply) -> web.Response:
    return web.Response(status=reply.status, headers=reply.headers, body=reply.body, content_type=JSON)


def _our_own(http: web.HTTPException, request: web.Request, max_body_bytes: int) -> GatewayError:
    if isinstance(http, web.HTTPRequestEntityTooLarge):
        return too_large(max_body_bytes)
    if isinstance(http, web.HTTPMethodNotAllowed):
        return WrongMethod(f"{request.path} takes {', '.join(sorted(http.allowed_methods))}, not {request.method}")
    if isinstance(http, web.HTTPNotFound):
        return UnknownPath(f"nothing is served at {request.path}; agents call {', '.join(dict.fromkeys(SERVED_PATHS))}")
    return MalformedRequest(http.reason)
