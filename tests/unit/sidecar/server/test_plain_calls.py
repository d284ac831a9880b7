"""A call is answered alike whether our own server reads it or aiohttp's, to which chunks are left."""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from schemas.bundle import Caller
from tests.fakes import core_wire as wire
from tests.fakes.agent_port import Port
from tests.fakes.core import Core
from tests.fakes.ports import Script

CHAT = "/v1/chat/completions"
GEMINI = "/v1beta/models/chat"
CONTENTS = b'{"contents":[{"parts":[{"text":"Hello"}]}]}'
CALLERS = {"callers": (Caller(name="a", key_sha256=hashlib.sha256(b"a").hexdigest(), use_cases=("chat",)),)}
STREAM = Script(wire.STREAM)
OWN = re.compile(rb"pm-[0-9a-f]{27}|\d+(?=,\"model\")")
"""What differs from call to call."""


async def asked(tmp_path: Path, script: Script | None, rules: Mapping[str, Any], head: str, framed: bytes) -> bytes:
    """All that is answered on a connection that ends with it."""
    async with Port(tmp_path, Core(script) if script else Core(), **rules) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(head.encode() + framed)
        answer = await reader.read()
        writer.close()
    return answer


def parsed(answer: bytes) -> tuple[bytes, Mapping[bytes, bytes], bytes]:
    head, _, body = OWN.sub(b"*", answer).partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
    if headers.get(b"transfer-encoding") == b"chunked":
        body = b"".join(re.findall(rb"[0-9a-f]+\r\n(.+?)\r\n(?=[0-9a-f]+\r\n)", body, re.DOTALL))
    for own in (b"server", b"date", b"content-length", b"x-pointsman-seconds"):
        headers.pop(own, None)
    return status, headers, body


@pytest.mark.parametrize(
    ("path", "body", "headers", "script", "rules", "status"),
    [
        (CHAT, wire.request(), "", None, {}, 200),
        (CHAT, wire.request(stream=True), "", STREAM, {}, 200),
        (f"{GEMINI}:generateContent", CONTENTS, "", None, {}, 200),
        (f"{GEMINI}:streamGenerateContent", CONTENTS, "", STREAM, {}, 200),
        (f"{GEMINI}:streamGenerateContent?alt=sse&alt=json", CONTENTS, "", STREAM, {}, 200),
        (f"{GEMINI}:streamGenerateContent?alt=proto", CONTENTS, "", STREAM, {}, 400),
        (f"{GEMINI}:countTokens?key=a", CONTENTS, "", None, CALLERS, 200),
        (f"{GEMINI}:countTokens?key=b&key=a", CONTENTS, "", None, CALLERS, 401),
        ("/v1/messages/count_tokens", wire.request(), "", None, {}, 200),
        (CHAT, wire.request(), "x-api-key: a\r\n", None, CALLERS, 200),
        (CHAT, wire.request(), "x-api-key: b\r\n", None, CALLERS, 401),
        (CHAT, wire.request(), "", None, {"ready": False}, 503),
        (CHAT, wire.request(), "origin: https://evil.example\r\n", None, {}, 403),
        (CHAT, b"{", "", None, {}, 400),
        ("/v1/messages", b"[]", "", None, {}, 400),
        (f"{GEMINI}:streamGenerateContent", b"{", "", None, {}, 400),
        (CHAT, wire.request(model="nobody"), "anthropic-version: 1\r\n", None, {}, 404),
    ],
)
async def test_both_servers_answer_alike(
    tmp_path: Path,
    path: str,
    body: bytes,
    headers: str,
    script: Script | None,
    rules: Mapping[str, Any],
    status: int,
) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{headers}"
    whole = b"content-length: %d\r\n\r\n%b" % (len(body), body)
    chunks = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    ours, aiohttp_s = [await asked(tmp_path, script, rules, head, framed) for framed in (whole, chunks)]
    assert ours.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nserver:" not in ours.lower()
    assert b"\r\nserver: " in aiohttp_s.lower()
    assert parsed(ours) == parsed(aiohttp_s)
