"""Reads the controller's watch stream, one event at a time."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import msgspec

from schemas.bundle import Pointer, SignedPointer


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    id: str
    data: str

    @property
    def signed(self) -> SignedPointer:
        return msgspec.json.decode(self.data, type=SignedPointer)

    @property
    def pointer(self) -> Pointer:
        return msgspec.json.decode(self.signed.pointer, type=Pointer)


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """Every event until the stream's clean end."""
    pending = b""
    async for piece in answer.content.iter_any():
        pending += piece
        while b"\n\n" in pending:
            whole, _, pending = pending.partition(b"\n\n")
            fields = dict(line.split(": ", 1) for line in whole.decode().split("\n"))
            yield Event(fields["event"], fields.get("id", ""), fields["data"])
