"""The port that agents call: one handler per path, one translation of errors into the caller's own dialect."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import getrandbits
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError
from multidict import CIMultiDict

from schemas.bundle import Caller
from schemas.problems import did_you_mean
from sidecar.call import CallFailed, Inbound, PlainReply, StreamReply
from sidecar.counting import TokenCounter
from sidecar.dialects.base import BODY_ALONE, ChatDialect, Dialect, InPath
from sidecar.dialects.counting import ANTHROPIC_COUNT, GEMINI_COUNT, Counting
from sidecar.dialects.embeddings import GEMINI_BATCH, GEMINI_ONE, OPENAI_EMBEDDINGS
from sidecar.dialects.gemini.array import CONTENT_TYPE as ARRAY_TYPE
from sidecar.dialects.gemini.array import JsonArray
from sidecar.dialects.gemini.paths import parse_path
from sidecar.dialects.passing import OPENAI_PASSING
from sidecar.dialects.registry import DIALECTS
from sidecar.errors import (
    BodyTooLarge,
    GatewayError,
    MalformedRequest,
    NotReady,
    UnknownPath,
    UnknownUseCase,
    WrongMethod,
    code_of,
)
from sidecar.operations import CHAT, EMBEDDINGS, PASSING, Operation
from sidecar.pipeline import Pipeline
from sidecar.ports import Clock
from sidecar.refusals import error_headers, status_of
from sidecar.routing.explain import explained
from sidecar.routing.facts import parse_facts
from sidecar.routing.scope import for_facts
from sidecar.routing.snapshot import Snapshot
from sidecar.routing.usecase import may_ask, say_unknown, use_case_of_model
from sidecar.rules.store import RuleStore
from sidecar.server.guard import caller_of, refuse_foreigners, refuse_unreadable
from sidecar.server.passthrough import ID, PASSED, Passed, PassThrough, is_json, read_form
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.recent import RecentCalls
from sidecar.trace_context import ContextFor, as_it_came

OPENAI, ANTHROPIC, GEMINI = DIALECTS["openai"], DIALECTS["anthropic"], DIALECTS["gemini"]


@dataclass(frozen=True, slots=True)
class Served:
    """What is asked at a path, and in which dialect."""

    dialect: Dialect[Any, Any]
    operation: Operation[Any, Any] = CHAT


GEMINI_METHODS: Mapping[str, Served] = {
    "generateContent": Served(GEMINI),
    "streamGenerateContent": Served(GEMINI),
    "embedContent": Served(GEMINI_ONE, EMBEDDINGS),
    "batchEmbedContents": Served(GEMINI_BATCH, EMBEDDINGS),
}

CALL_PATHS: Mapping[str, Served] = {
    "/v1/chat/completions": Served(OPENAI),
    "/v1/responses": Served(DIALECTS["openai-responses"]),
    "/v1/messages": Served(ANTHROPIC),
    "/v1/embeddings": Served(OPENAI_EMBEDDINGS, EMBEDDINGS),
    **{
        f"/{version}/models/{{model}}:{method}": served
        for version in ("v1beta", "v1")
        for method, served in GEMINI_METHODS.items()
    },
}
"""`{model}` may hold slashes: a use case's alias may be any name."""

COUNT_PATHS: Mapping[str, Counting] = {
    "/v1/messages/count_tokens": ANTHROPIC_COUNT,
    "/v1beta/models/{model}:countTokens": GEMINI_COUNT,
    "/v1/models/{model}:countTokens": GEMINI_COUNT,
}

FEEDBACK_PATH = "/v1/feedback"
MODELS_PATHS = ("/v1/models", "/v1beta/models")
MODEL_PATHS = tuple(f"{path}/{{model}}" for path in MODELS_PATHS)

SERVED_PATHS = (
    *CALL_PATHS,
    *COUNT_PATHS,
    FEEDBACK_PATH,
    *MODELS_PATHS,
    *MODEL_PATHS,
    *(passed.path.replace(ID, "{id}") for passed in PASSED),
)
"""As a caller reads them."""

GOOGLE_KEY = "x-goog-api-key"
GOOGLE_HEADERS = (GOOGLE_KEY, "x-goog-api-client")
"""Google's SDKs send both; a caller of its REST API at least the first, or its key in the query."""

SHUTTING_DOWN = "this sidecar is shutting down, and the time that open calls had is over"
REQUEST_ID = web.RequestKey("request_id", str)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ReadBody = Callable[[web.Request], Awaitable[bytes]]
Answering = Callable[[web.Request], Awaitable[PlainReply | StreamReply]]

log = logging.getLogger("pointsman.calls")


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
        self._context_for = context_for
        self._pipeline = pipeline
        self._counter = counter
        self._passthrough = passthrough
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._recent = recent
        self._allowed_hosts = allowed_hosts
        self._max_body_bytes = max_body_bytes
        self._open: dict[asyncio.Task[object], StreamReply | None] = {}
        """Requests being answered; with their stream once it has begun."""

    @property
    def calls_open(self) -> int:
        return len(self._open)

    def end_open_calls(self) -> None:
        """The time to drain is over: whatever is open ends with an error in its caller's dialect, and is booked so."""
        self._pipeline.books.is_closing = True
        for task, stream in self._open.items():
            if stream is None:
                task.cancel()
            else:
                stream.end(NotReady(SHUTTING_DOWN))

    def app(self) -> web.Application:
        app = web.Application(client_max_size=self._max_body_bytes, middlewares=[self._edge])
        for path, served in CALL_PATHS.items():
            app.router.add_post(path.replace("{model}", "{model:.+}"), self._answering(self._run(served)))
        for path, counting in COUNT_PATHS.items():
            app.router.add_post(path.replace("{model}", "{model:.+}"), self._answering(self._count(counting)))
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
        request_id = self._new_id()
        request[REQUEST_ID] = request_id
        known: Mapping[str, str] = {}
        try:
            refuse_foreigners(request.headers, self._allowed_hosts)
            refuse_unreadable(request.headers)
            return await handler(request)
        except CallFailed as failed:
            error, known = failed.error, failed.headers
        except GatewayError as refused:
            error = refused
            self._metrics.refused(code_of(error))
        except web.HTTPException as http:
            error = _our_own(http, request, self._max_body_bytes)
            self._metrics.refused(code_of(error))
        except ConnectionError:
            if request.transport is not None and not request.transport.is_closing():
                raise
            return web.Response()  # to nobody: its caller has left, and the call is on the books
        except Exception:
            log.exception("call.crashed id=%s path=%s", request_id, request.path)
            error = GatewayError("the sidecar failed on this request; its log says why")
        headers = {"x-pointsman-request-id": request_id, **known, **error_headers(error)}
        body = _dialect_of(request).encode_error(error, request_id)
        return web.Response(
            status=status_of(error),
            headers=headers,
            body=b"[%b]" % body if _wants_array(request) else body,
            content_type="application/json",
        )

    def _run(self, served: Served) -> Answering:
        async def run(request: web.Request) -> PlainReply | StreamReply:
            return await self._pipeline.run(await self._inbound(request, served))

        return run

    def _count(self, counting: Counting) -> Answering:
        served = Served(counting.dialect)

        async def count(request: web.Request) -> PlainReply:
            return await self._counter.count(await self._inbound(request, served), counting)

        return count

    def _answering(self, ask: Answering) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            task = asyncio.current_task()
            assert task is not None
            self._open[task] = None
            try:
                reply = await self._reply(request, ask, task)
                if isinstance(reply, PlainReply):
                    whole = web.Response(
                        status=reply.status, headers=reply.headers, body=reply.body, content_type="application/json"
                    )
                    if reply.after is not None:
                        await whole.prepare(request)
                        await whole.write_eof()
                        reply.after()
                    return whole
                self._open[task] = reply
                response = web.StreamResponse(status=reply.status, headers=reply.headers)
                array = JsonArray() if _wants_array(request) else None
                response.headers["content-type"] = reply.content_type if array is None else ARRAY_TYPE
                response.headers["cache-control"] = "no-cache"

                async def write(data: bytes) -> None:
                    if not response.prepared:
                        await response.prepare(request)
                    await response.write(data if array is None else array.feed(data))

                try:
                    await reply.pump(write)
                    if array is not None:
                        await response.write(array.finish())
                except Exception:
                    if response.prepared and request.transport is not None:
                        request.transport.abort()  # half a stream, not a second answer inside the first
                    raise
                await response.write_eof()
                if reply.after is not None:
                    reply.after()
                return response
            finally:
                del self._open[task]

        return answer

    def _passing(self, passed: Passed) -> Handler:
        served = Served(OPENAI_PASSING, PASSING)

        async def pass_on(request: web.Request) -> web.StreamResponse:
            task = asyncio.current_task()
            assert task is not None
            self._open[task] = None
            try:
                inbound = await self._inbound(request, served, self._json_body)
                form = await read_form(request, passed, self._max_body_bytes)
                if form is not None:
                    inbound = msgspec.structs.replace(inbound, in_path=InPath(form.value))
                return await self._passthrough.answer(inbound, request, passed, form)
            finally:
                del self._open[task]

        return pass_on

    async def _reply(
        self, request: web.Request, ask: Answering, task: "asyncio.Task[object]"
    ) -> PlainReply | StreamReply:
        try:
            return await ask(request)
        except asyncio.CancelledError:
            if not self._pipeline.books.is_closing:
                raise
            task.uncancel()
            raise NotReady(SHUTTING_DOWN) from None

    async def _inbound(self, request: web.Request, served: Served, read: ReadBody | None = None) -> Inbound:
        """`read` takes what of the body is needed; all of it unless told otherwise."""
        arrived, started = self._clock.now(), self._clock.monotonic()
        snapshot = self._snapshot()
        caller = _caller_of(request, snapshot)
        in_path = _in_path(request)
        body = await (read or self._whole_body)(request)
        return Inbound(
            id=request[REQUEST_ID],
            dialect=served.dialect,
            body=body,
            headers=_headers_of(request),
            snapshot=snapshot,
            caller=caller,
            arrived=arrived,
            started=started,
            in_path=in_path,
            operation=served.operation,
            context_for=self._context_for,
        )

    async def _whole_body(self, request: web.Request) -> bytes:
        if (request.content_length or 0) > self._max_body_bytes:
            raise _too_large(self._max_body_bytes)
        return await _body_of(request)

    async def _json_body(self, request: web.Request) -> bytes:
        """Empty where it is a form or a file, which may be of any size and is not held."""
        return await self._whole_body(request) if is_json(request) else b""

    def _snapshot(self) -> Snapshot:
        if self._store.current is None:
            why = f": {self._store.error}" if self._store.error else ""
            raise NotReady(f"this sidecar has no rules yet{why}")
        return self._store.current

    async def _models(self, request: web.Request) -> web.StreamResponse:
        """The use cases that this caller may ask for, each as a model."""
        snapshot = self._snapshot()
        caller = _caller_of(request, snapshot)
        names = [
            (name, use_case.owner) for name, use_case in sorted(snapshot.use_cases.items()) if may_ask(caller, name)
        ]
        body = _dialect_of(request).encode_models(names, int(self._clock.now()))
        return web.Response(body=body, content_type="application/json")

    async def _model(self, request: web.Request) -> web.StreamResponse:
        """One of them, also by an alias: agents look up the name that they are going to send."""
        if (in_path := parse_path(request.rel_url.raw_path)) is not None:
            raise WrongMethod(f"{in_path.method} takes POST, not {request.method}")
        snapshot = self._snapshot()
        caller = _caller_of(request, snapshot)
        name = request.match_info["model"]
        use_case = use_case_of_model(snapshot, name)
        if use_case is None or not may_ask(caller, use_case):
            hint = did_you_mean(name, [known for known in snapshot.use_cases if may_ask(caller, known)])
            raise UnknownUseCase(f'no model of yours is named "{name}"; {hint or "GET /v1/models lists them"}')
        owner = snapshot.use_cases[use_case].owner
        body = _dialect_of(request).encode_model(name, owner, int(self._clock.now()))
        return web.Response(body=body, content_type="application/json")

    async def _explain(self, request: web.Request) -> web.StreamResponse:
        """Where a call would go now and why, without calling anyone.

        `{"use_case", "facts"}`, or a request as it would be sent: `{"path", "headers", "body"}`.
        """
        snapshot = self._snapshot()
        caller = _caller_of(request, snapshot)
        try:
            asked = msgspec.json.decode(await _body_of(request), type=_Question)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedRequest(f"explain takes a JSON object: {error}") from error
        body = bytes(asked.body)
        if body:
            path = asked.path.partition("?")[0]
            in_path = parse_path(path)
            served = CALL_PATHS.get(path) if in_path is None else GEMINI_METHODS.get(in_path.method)
            if served is None:
                raise MalformedRequest(f'path must be one of {", ".join(CALL_PATHS)}, not "{path}"')
            headers = {name.lower(): value for name, value in asked.headers.items()}
            now, started = self._clock.now(), self._clock.monotonic()
            whole = (served.dialect, body, headers, snapshot, caller, now, started, in_path or BODY_ALONE)
            plan = self._pipeline.explain(Inbound(request[REQUEST_ID], *whole, served.operation))
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
        caller = _caller_of(request, self._snapshot())
        record = self._recent.get(request.match_info["id"])
        if record is None or (caller is not None and record.caller != caller.name):
            raise UnknownPath("no recent call of yours has this id")
        shown = {**msgspec.to_builtins(record), "feedback": self._pipeline.books.answered.said_of(record.id)}
        return web.Response(body=msgspec.json.encode(shown), content_type="application/json")

    async def _feedback(self, request: web.Request) -> web.StreamResponse:
        """202: it is on disk, and on its way to the ledger."""
        snapshot = self._snapshot()
        caller = _caller_of(request, snapshot)
        feedback = self._pipeline.feedback.take(await self._whole_body(request), request.headers, caller, snapshot)
        return web.Response(status=202, body=msgspec.json.encode(feedback), content_type="application/json")

    async def _recent_calls(self, request: web.Request) -> web.StreamResponse:
        """Those that an agent made: whoever broke off and does not know their ids finds here what they cost."""
        caller = _caller_of(request, self._snapshot())
        agent = request.query.get("agent")
        if not agent:
            raise MalformedRequest("say whose calls: /pointsman/calls?agent=NAME")
        found = [record for record in self._recent.of_agent(agent) if caller is None or record.caller == caller.name]
        return web.Response(body=msgspec.json.encode({"calls": found}), content_type="application/json")

    def _new_id(self) -> str:
        """Sorts by time; unique over the fleet, and no secret."""
        return f"pm-{int(self._clock.now() * 1000):011x}{getrandbits(64):016x}"


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


def _caller_of(request: web.Request, snapshot: Snapshot) -> Caller | None:
    return caller_of(request.headers, snapshot, request.query.get("key", ""))


async def _nothing(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


def _headers_of(request: web.Request) -> Mapping[str, str]:
    """With a key from the query, as Google's API takes it, in the header of Google's that says the same."""
    key = request.query.get("key")
    if key is None or GOOGLE_KEY in request.headers:
        return request.headers
    return CIMultiDict(request.headers, **{GOOGLE_KEY: key})


def _in_path(request: web.Request) -> InPath:
    """Raises MalformedRequest: an answer that is asked for in a form that is not served."""
    in_path = parse_path(request.rel_url.raw_path)
    if in_path is None:
        return BODY_ALONE
    alt = request.query.get("alt", "json")
    if alt not in (("sse", "json") if in_path.stream else ("json",)):
        raise MalformedRequest("alt: json is served, and sse where an answer is streamed")
    return in_path


def _wants_array(request: web.Request) -> bool:
    """A stream of Google's API is one JSON array unless it is asked for as server-sent events."""
    in_path = parse_path(request.rel_url.raw_path)
    return in_path is not None and in_path.stream and request.query.get("alt") != "sse"


def _dialect_of(request: web.Request) -> ChatDialect:
    """Whose words an answer is in where the path alone does not say."""
    if request.path.startswith("/v1beta/") or parse_path(request.rel_url.raw_path) is not None:
        return GEMINI
    if request.path.startswith("/v1/messages") or "anthropic-version" in request.headers:
        return ANTHROPIC
    return GEMINI if any(name in request.headers for name in GOOGLE_HEADERS) else OPENAI


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limit} bytes; --max-body sets the limit")


def _our_own(http: web.HTTPException, request: web.Request, max_body_bytes: int) -> GatewayError:
    if isinstance(http, web.HTTPRequestEntityTooLarge):
        return _too_large(max_body_bytes)
    if isinstance(http, web.HTTPMethodNotAllowed):
        return WrongMethod(f"{request.path} takes {', '.join(sorted(http.allowed_methods))}, not {request.method}")
    if isinstance(http, web.HTTPNotFound):
        return UnknownPath(f"nothing is served at {request.path}; agents call {', '.join(dict.fromkeys(SERVED_PATHS))}")
    return MalformedRequest(http.reason)
