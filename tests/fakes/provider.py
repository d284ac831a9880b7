"""A provider over HTTP that answers as a test says, and keeps what it was sent: paths, headers, bodies."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    """As it stood on the wire, with its query."""
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


class FakeProvider:
    def __init__(self, answer: Callable[[Received], Answer]) -> None:
        self.received: list[Received] = []
        self.url = ""
        self._answer = answer

    def values(self, header: str) -> list[str | None]:
        """What each request said in this header."""
        return [received.headers.get(header) for received in self.received]

    async def serve(self, request: web.BaseRequest) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.method, request.raw_path, headers, await request.read()))
        answer = self._answer(self.received[-1])
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


@asynccontextmanager
async def providing(answer: Callable[[Received], Answer] = lambda _: Answer()) -> AsyncIterator[FakeProvider]:
    fake = FakeProvider(answer)
    runner = web.ServerRunner(web.Server(fake.serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
