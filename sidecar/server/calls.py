"""Calls as they come in, whichever server read them: guarded, answered, and refused in the words of their caller."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from random import getrandbits

from schemas.bundle import Caller
from sidecar.core.call import CallFailed, Inbound, PlainReply, StreamReply, Write
from sidecar.core.counting import TokenCounter
from sidecar.core.pipeline import Pipeline
from sidecar.core.refusals import error_headers, status_of
from sidecar.dialects.gemini.array import CONTENT_TYPE as ARRAY_TYPE
from sidecar.dialects.gemini.array import JsonArray
from sidecar.errors import BodyTooLarge, GatewayError, NotReady, code_of
from sidecar.ports import Clock
from sidecar.routing.snapshot import Snapshot
from sidecar.rules.store import RuleStore
from sidecar.server.asked import Asked
from sidecar.server.guard import caller_of, refuse_foreigners, refuse_unreadable
from sidecar.server.paths import Served
from sidecar.telemetry.metrics import Metrics
from sidecar.trace_context import ContextFor

SHUTTING_DOWN = "this sidecar is shutting down, and the time that open calls had is over"

JSON = "application/json"

ReadBody = Callable[[], Awaitable[bytes]]

log = logging.getLogger("pointsman.calls")


class Calls:
    """Those that are open, and what each needs on its way in and out."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        counter: TokenCounter,
        store: RuleStore,
        clock: Clock,
        metrics: Metrics,
        allowed_hosts: frozenset[str],
        context_for: ContextFor,
    ) -> None:
        self.open: dict[asyncio.Task[object], StreamReply | None] = {}
        """Requests being answered; with their stream once it has begun."""
        self._pipeline = pipeline
        self._counter = counter
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._allowed_hosts = allowed_hosts
        self._context_for = context_for

    def end_open(self) -> None:
        """The time to drain is over: whatever is open ends with an error in its caller's dialect, and is booked so."""
        self._pipeline.books.is_closing = True
        for task, stream in self.open.items():
            if stream is None:
                task.cancel()
            else:
                stream.end(NotReady(SHUTTING_DOWN))

    def new_id(self) -> str:
        """Sorts by time; unique over the fleet, and no secret."""
        return f"pm-{int(self._clock.now() * 1000):011x}{getrandbits(64):016x}"

    def guard(self, headers: Mapping[str, str], *, are_ascii: bool = False) -> None:
        """Raises ForeignHost, MalformedRequest."""
        refuse_foreigners(headers, self._allowed_hosts)
        if not are_ascii:
            refuse_unreadable(headers)

    def snapshot(self) -> Snapshot:
        """Raises NotReady."""
        if self._store.current is None:
            why = f": {self._store.error}" if self._store.error else ""
            raise NotReady(f"this sidecar has no rules yet{why}")
        return self._store.current

    def caller_of(self, asked: Asked, snapshot: Snapshot) -> Caller | None:
        """Raises Unauthenticated."""
        return caller_of(asked.headers, snapshot, asked.key_in_query)

    async def inbound(self, asked: Asked, served: Served, read: ReadBody) -> Inbound:
        """`read` takes what of the body is needed, once it is known who asks."""
        arrived, started = self._clock.now(), self._clock.monotonic()
        snapshot = self.snapshot()
        caller = self.caller_of(asked, snapshot)
        in_path = asked.call_in_path()
        return Inbound(
            id=asked.id,
            dialect=served.dialect,
            body=await read(),
            headers=asked.headers_with_key(),
            snapshot=snapshot,
            caller=caller,
            arrived=arrived,
            started=started,
            in_path=in_path,
            operation=served.operation,
            context_for=self._context_for,
        )

    async def reply(self, asked: Asked, served: Served, read: ReadBody) -> PlainReply | StreamReply:
        """What a call or a count is answered. The current task must be among those that are `open`.

        Raises:
            GatewayError, CallFailed: as the pipeline does; NotReady for a call that ends with this process.
        """
        try:
            inbound = await self.inbound(asked, served, read)
            if served.counting is not None:
                return await self._counter.count(inbound, served.counting)
            return await self._pipeline.run(inbound)
        except asyncio.CancelledError:
            if not self._pipeline.books.is_closing:
                raise
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            raise NotReady(SHUTTING_DOWN) from None

    def refusal(self, error: Exception, asked: Asked) -> PlainReply:
        """What is said of a request that failed, in its caller's dialect. A bug of ours is logged."""
        known: Mapping[str, str] = {}
        if isinstance(error, CallFailed):
            said, known = error.error, error.headers
        elif isinstance(error, GatewayError):
            said = error
            self._metrics.refused(code_of(said))
        else:
            log.error("call.crashed id=%s path=%s", asked.id, asked.path, exc_info=error)
            said = GatewayError("the sidecar failed on this request; its log says why")
        body = asked.dialect.encode_error(said, asked.id)
        headers = {"x-pointsman-request-id": asked.id, **known, **error_headers(said)}
        return PlainReply(status_of(said), headers, b"[%b]" % body if asked.wants_array else body)


def too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limit} bytes; --max-body sets the limit")


def stream_headers(reply: StreamReply, asked: Asked) -> dict[str, str]:
    content_type = ARRAY_TYPE if asked.wants_array else reply.content_type
    return {**reply.headers, "content-type": content_type, "cache-control": "no-cache"}


async def pump(reply: StreamReply, asked: Asked, write: Write) -> None:
    """A whole stream to its caller, in the form that it asked for."""
    if not asked.wants_array:
        await reply.pump(write)
        return
    array = JsonArray()
    await reply.pump(lambda events: write(array.feed(events)))
    await write(array.finish())
