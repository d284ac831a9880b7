"""OpenAI's images, audio, files, batches and moderations: handed to the first healthy target that speaks its dialect.

Bytes pass both ways as they come, uploads and downloads of any size among them. Nothing is translated and no second
target is asked: a body that has left is gone (decision 6).
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass

from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestPayloadError

from sidecar.accounting.books import OK
from sidecar.core.bookkeeping import headers_of
from sidecar.core.call import Attempt, Call, Inbound, Outcome
from sidecar.core.pipeline import Pipeline
from sidecar.dialects.forms import FormField, boundary_of
from sidecar.dialects.openai_chat.envelope import forward
from sidecar.errors import CredentialRefused, DeadlineExceeded, MalformedRequest, UpstreamError
from sidecar.ports import Upstream, UpstreamAnswer
from sidecar.routing.plan import Planned
from sidecar.routing.usecase import use_case_of_model

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Passed:
    """One endpoint."""

    method: str
    path: str
    is_billed: bool = False
    """The provider asks money for it. What is free leaves a record only when it fails."""
    names_model: bool = False
    """Its form has a field for the model."""


ID = "{id:[A-Za-z0-9_-]+}"

PASSED: tuple[Passed, ...] = (
    Passed("POST", "/v1/images/generations", is_billed=True),
    Passed("POST", "/v1/images/edits", is_billed=True, names_model=True),
    Passed("POST", "/v1/images/variations", is_billed=True, names_model=True),
    Passed("POST", "/v1/audio/speech", is_billed=True),
    Passed("POST", "/v1/audio/transcriptions", is_billed=True, names_model=True),
    Passed("POST", "/v1/audio/translations", is_billed=True, names_model=True),
    Passed("POST", "/v1/batches", is_billed=True),
    Passed("GET", "/v1/batches"),
    Passed("GET", f"/v1/batches/{ID}"),
    Passed("POST", f"/v1/batches/{ID}/cancel"),
    Passed("POST", "/v1/files"),
    Passed("GET", "/v1/files"),
    Passed("GET", f"/v1/files/{ID}"),
    Passed("DELETE", f"/v1/files/{ID}"),
    Passed("GET", f"/v1/files/{ID}/content"),
    Passed("POST", "/v1/moderations"),
)

SENT_ON = ("content-type", "accept", "idempotency-key")
SENT_BACK = ("content-type", "content-disposition", "content-length", "retry-after", "x-request-id")


def is_json(request: web.Request) -> bool:
    return request.content_type == JSON


async def read_form(request: web.Request, passed: Passed, max_bytes: int) -> FormField | None:
    """A form as far as it must arrive to tell its model, and no further than `max_bytes`; None where there is none.

    Raises:
        MalformedRequest: no form, though its headers say so.
    """
    if not passed.names_model or request.content_type != "multipart/form-data":
        return None
    field = FormField(boundary_of(request.headers["content-type"]), "model")
    try:
        while not field.done and len(field.arrived) < max_bytes and (data := await request.content.readany()):
            field.feed(data)
    except RequestPayloadError as error:
        raise MalformedRequest("the body cannot be read: it is not encoded as its headers say") from error
    return field


class PassThrough:
    def __init__(self, pipeline: Pipeline, upstream: Upstream) -> None:
        self._pipeline = pipeline
        self._books = pipeline.books
        self._upstream = upstream

    async def answer(
        self, inbound: Inbound, request: web.Request, passed: Passed, form: FormField | None
    ) -> web.StreamResponse:
        """`inbound.body` is the body where it is JSON, and empty where it is still to be read from the request, but for
        what has arrived of a form.

        Raises:
            CallerError: refused before any use case was known.
            CallFailed: no target, or it failed before it answered. Its record is booked.
        """
        call = await self._pipeline.accept(inbound)
        planned = call.plan.steps[0]
        call.choose(planned)
        attempt = self._books.start(call, planned)
        if passed.is_billed:
            self._books.begin_unpriced(call, attempt)
        response: web.StreamResponse | None = None
        try:
            async with asyncio.timeout(call.deadline_seconds):
                answer = await self._ask(call, planned, request, form)
                try:
                    word, first = await self._judge(call, attempt, answer)
                    response = self._response(call, planned, answer)
                    await response.prepare(request)
                    while first:
                        await response.write(first)
                        first = await answer.chunk()
                    await response.write_eof()
                finally:
                    answer.close()
        except (UpstreamError, TimeoutError) as failure:
            error = failure if isinstance(failure, UpstreamError) else _late(call)
            if response is not None and request.transport is not None:
                request.transport.abort()  # half an answer, not a second one inside the first
            self._books.note_failure(call, attempt, error)
            raise self._books.refuse(call, error, planned) from failure
        except (asyncio.CancelledError, ConnectionError):
            self._end(call, attempt, passed, self._books.cut_short(), None)
            raise
        self._end(call, attempt, passed, Outcome(word, answer.status), answer.status)
        return response

    def _end(self, call: Call, attempt: Attempt, passed: Passed, outcome: Outcome, status: int | None) -> None:
        if passed.is_billed:
            self._books.end(call, attempt, outcome, status)
        else:
            self._books.drop(call, attempt)

    async def _ask(self, call: Call, planned: Planned, request: web.Request, form: FormField | None) -> UpstreamAnswer:
        inbound, target = call.inbound, planned.target
        headers = inbound.headers_to(target, 0)
        headers |= {name: request.headers[name] for name in SENT_ON if name in request.headers}
        body: bytes | AsyncIterable[bytes] = b""
        named = use_case_of_model(inbound.snapshot, call.envelope.model) is not None
        if inbound.body:
            body = forward(call.envelope, target.name) if named else inbound.body
        elif form is not None or request.can_read_body:
            head = b"" if form is None else form.with_value(target.name) if named else bytes(form.arrived)
            body = head if request.content.at_eof() else _then(head, request.content)
            # A compressed body has been unpacked on the way in: its length is not known any more.
            if request.content_length is not None and "content-encoding" not in request.headers:
                grown = 0 if form is None else len(head) - len(form.arrived)
                headers["content-length"] = str(request.content_length + grown)
        # A key in the query is a caller's, and for us alone.
        url = request.rel_url.without_query_params("key") if "key" in request.query else request.rel_url
        path = url.raw_path_qs.removeprefix("/v1")
        connect_seconds = call.plan.use_case.timeouts.connect
        return await self._upstream.relay(target, request.method, path, headers, body, connect_seconds)

    async def _judge(self, call: Call, attempt: Attempt, answer: UpstreamAnswer) -> tuple[str, bytes]:
        """How it went, and the first bytes of what the caller gets.

        A refusal goes back as the provider said it, but for one of our own key: that is no business of the caller's.
        """
        if answer.status < 300:
            first = await answer.chunk()
            self._books.commit(attempt)
            return OK, first
        said = await answer.read()
        error = call.inbound.dialect.decode_error(answer.status, answer.headers, said)
        if isinstance(error, CredentialRefused):
            raise error
        return error.code, said

    def _response(self, call: Call, planned: Planned, answer: UpstreamAnswer) -> web.StreamResponse:
        back: Mapping[str, str] = {name: answer.headers[name] for name in SENT_BACK if name in answer.headers}
        return web.StreamResponse(status=answer.status, headers={**back, **headers_of(call, planned, 1)})


async def _then(head: bytes, rest: StreamReader) -> AsyncIterator[bytes]:
    if head:
        yield head
    async for data in rest.iter_any():
        yield data


def _late(call: Call) -> DeadlineExceeded:
    return DeadlineExceeded(f"no whole answer within the deadline of {call.deadline_seconds:g} s")
