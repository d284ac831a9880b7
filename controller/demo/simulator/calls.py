"""One call to a simulated provider, from its bytes to its last one: key, faults, answer, stream, journal."""

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import msgspec
from aiohttp import web

from controller.demo.simulator.answers import Script, answer_to
from controller.demo.simulator.anthropic_messages import AnthropicMessages
from controller.demo.simulator.dialect import FrameKind, Prompt, Refused, Reply, SimulatedDialect
from controller.demo.simulator.faults import Fault, Faults
from controller.demo.simulator.journal import Journal
from controller.demo.simulator.prompt_cache import PromptCache
from controller.demo.simulator.settings import SimulatorSettings

HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n"
EVENT_STREAM = "text/event-stream; charset=utf-8"
NO_FAULT = Fault()
Respond = Callable[[dict[str, Any]], Awaitable[web.StreamResponse]]


class Provider:
    """The state that calls share."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self.faults = Faults()
        self.cache = PromptCache()
        self.journal = Journal(settings.journal_entries, settings.journal_path, settings.name)
        self.stopping = asyncio.Event()

    def accepts(self, key: str | None) -> bool:
        return self.settings.key is None or key == self.settings.key

    def serves(self, model: str) -> bool:
        return not self.settings.models or model in self.settings.models


class Call:
    """One request at one dialect."""

    def __init__(self, provider: Provider, dialect: SimulatedDialect, request: web.Request) -> None:
        self.provider = provider
        self.dialect = dialect
        self.request = request
        self.fault = NO_FAULT
        self._request_id = dialect.new_request_id()
        self._ended_by_us = False

    async def answer(self) -> web.StreamResponse:
        """Generates: plain or streamed, as the request says."""
        return await self._journaled(self._generate)

    async def count(self) -> web.StreamResponse:
        """Only counts the tokens of an Anthropic request."""
        return await self._journaled(self._count)

    async def _journaled(self, respond: Respond) -> web.StreamResponse:
        raw = await self.request.read()
        body = decoded(raw)
        request = self.request
        self.entry = self.provider.journal.begin(request.method, request.path, request.headers, body, len(raw))
        try:
            try:
                return await self._admitted(body, respond)
            except Refused as refusal:
                return await self._send_error(refusal.status, refusal.body)
        except asyncio.CancelledError:
            self._note_a_lost_client()
            raise
        except ConnectionError:
            self._note_a_lost_client()
            return await self._cut(web.Response(), "close")  # nobody is there to answer
        finally:
            self.provider.journal.end(self.entry)

    def _note_a_lost_client(self) -> None:
        self.entry.client_left = not (self._ended_by_us or self.provider.stopping.is_set())

    async def _admitted(self, body: Any, respond: Respond) -> web.StreamResponse:
        """What every call meets first: the key, the JSON, and faults that come before an answer."""
        key = key_of(self.request.headers)
        if not self.provider.accepts(key):
            raise Refused(401, self.dialect.wrong_key(key))
        if not isinstance(body, dict):
            raise Refused(400, self.dialect.bad_json())
        if self.entry.model is not None:
            self._take_fault(self.entry.model)
        await asyncio.sleep(self.fault.delay)
        if self.fault.hang:
            await self._stand_still()
        if self.fault.close:
            return await self._cut(web.Response(), "close")
        if self.fault.status is not None:
            error = self.dialect.error(self.fault.status, self.fault.message, self.fault.code)
            return await self._send_error(self.fault.status, error, retry_after(self.fault))
        if self.fault.garbage in ("html", "json"):
            return await self._send_garbage()
        return await respond(body)

    async def _count(self, body: dict[str, Any]) -> web.StreamResponse:
        prompt = AnthropicMessages().read_countable(body)
        return await self._send(200, msgspec.json.encode({"input_tokens": prompt.input_tokens}))

    async def _generate(self, body: dict[str, Any]) -> web.StreamResponse:
        prompt = self.dialect.read(body, self.request.headers)
        if not self.provider.serves(prompt.ask.model):
            raise Refused(404, self.dialect.unknown_model(prompt.ask.model))
        reply = self._reply(prompt)
        return await (self._send_stream(reply) if prompt.ask.streamed else self._send_whole(reply))

    def _take_fault(self, model: str) -> None:
        fault = self.provider.faults.take(model)
        if fault is not None:
            self.fault = fault
            self.entry.fault = fault

    def _reply(self, prompt: Prompt) -> Reply:
        settings = self.provider.settings
        script = Script(self.fault.text, self.fault.refusal, self.fault.bad_json)
        try:
            answer = answer_to(prompt.ask, settings.name, settings.answer_tokens, script)
        except ValueError as error:
            raise Refused(400, self.dialect.error(400, f"Invalid schema: {error}")) from error
        usage = replace(
            self.dialect.use_cache(self.provider.cache, prompt),
            output_tokens=answer.output_tokens,
            reasoning_tokens=answer.reasoning_tokens,
        )
        return Reply(prompt, answer, None if self.fault.no_usage else usage, int(time.time()), settings.chunks)

    async def _send_whole(self, reply: Reply) -> web.StreamResponse:
        await asyncio.sleep(self.fault.first_token_delay)
        body = msgspec.json.encode(self.dialect.whole(reply))
        if self.fault.garbage is not None:
            return await self._send_garbage()
        if self.fault.error_event is not None:
            raise Refused(500, self.dialect.error(500))
        if self.fault.cut is None and self.fault.stall is None:
            return await self._send(200, body, reply=reply)
        response = web.StreamResponse(headers=self._headers("application/json"))
        if self.fault.cut_how != "clean":
            response.content_length = len(body)
        await self._prepare(response)
        if self.fault.stall is not None:
            await self._stand_still()
        await response.write(body[: len(body) // 2])
        return await self._cut(response, self.fault.cut_how)

    async def _send_stream(self, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(headers=self._headers(EVENT_STREAM))
        await self._prepare(response)
        fault = self.fault
        for frame in self.dialect.frames(reply):
            if frame.kind is FrameKind.END and fault.no_done:
                break
            if frame.kind is not FrameKind.OPENING:
                if self.entry.chunks_sent == fault.stall:
                    await self._stand_still()
                if self.entry.chunks_sent == fault.cut:
                    return await self._cut(response, fault.cut_how)
                if self.entry.chunks_sent == fault.error_event:
                    await response.write(self.dialect.error_frame())
                    break
            if frame.kind is FrameKind.CONTENT:
                await self._pace()
                if fault.garbage == "sse":
                    await response.write(self.dialect.broken_frame())
                    break
                self.entry.chunks_sent += 1
            await response.write(frame.data)
            if frame.reports_usage:
                self.entry.usage = reply.usage
        await response.write_eof()
        return response

    async def _pace(self) -> None:
        wait = self.provider.settings.chunk_delay_seconds
        if self.entry.chunks_sent == 0:
            wait += self.fault.first_token_delay
        if wait:
            await asyncio.sleep(wait)

    async def _send_garbage(self) -> web.StreamResponse:
        if self.fault.garbage == "html":
            return await self._send(200, HTML, "text/html; charset=utf-8")
        return await self._send(200, b'{"id": "broken", "choices": [{"index": 0, "message"')

    async def _send_error(self, status: int, body: dict[str, Any], extra: Mapping[str, str] = {}) -> web.StreamResponse:
        identified = self.dialect.identified(body, self._request_id)
        return await self._send(status, msgspec.json.encode(identified), extra=extra)

    async def _send(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        extra: Mapping[str, str] = {},
        reply: Reply | None = None,
    ) -> web.StreamResponse:
        response = web.Response(status=status, body=body, headers={**self._headers(content_type), **extra})
        await self._prepare(response)
        await response.write_eof()
        self.entry.usage = None if reply is None else reply.usage
        return response

    async def _prepare(self, response: web.StreamResponse) -> None:
        self.entry.status = response.status
        await response.prepare(self.request)

    def _headers(self, content_type: str) -> dict[str, str]:
        return {"content-type": content_type, self.dialect.request_id_header: self._request_id}

    async def _stand_still(self) -> None:
        """Until the client leaves (which cancels us) or the simulator stops."""
        await self.provider.stopping.wait()
        self._ended_by_us = True
        raise ConnectionAbortedError("the simulator stops")

    async def _cut(self, response: web.StreamResponse, how: str) -> web.StreamResponse:
        """Ends the connection, unfinished; a clean cut ends the body as if it were complete."""
        self._ended_by_us = True
        if how == "clean":
            await response.write_eof()
            return response
        transport = self.request.transport
        if transport is not None:
            if how == "reset":
                # Linger on, for no time: closing sends RST instead of FIN (socket(7), SO_LINGER).
                linger = struct.pack("ii", 1, 0)
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                transport.abort()
            else:
                transport.close()
        return response


def decoded(raw: bytes) -> Any:
    """The JSON in a body; None when it is not JSON."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def key_of(headers: Mapping[str, str]) -> str | None:
    """The caller's key. Where both headers stand, `x-api-key` counts, as at Anthropic."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return headers.get("x-api-key") or (bearer.strip() if scheme.lower() == "bearer" else None) or None


def retry_after(fault: Fault) -> dict[str, str]:
    seconds = fault.retry_after
    if seconds is None:
        return {}
    match fault.retry_after_form:
        case "date":
            return {"retry-after": formatdate(time.time() + seconds, usegmt=True)}
        case "ms":
            return {"retry-after-ms": f"{seconds * 1000:g}"}
        case "seconds":
            return {"retry-after": f"{seconds:g}"}
