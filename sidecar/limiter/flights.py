"""One question about one key at a time: whoever else wants to know waits for the same answer."""

import asyncio
from collections.abc import Awaitable, Callable


class Flights:
    def __init__(self) -> None:
        self._open: dict[str, asyncio.Future[bool]] = {}

    async def ask(self, key: str, question: Callable[[], Awaitable[bool]]) -> bool:
        """Whether an answer came. One who leaves while it waits takes the answer from nobody but itself."""
        flight = self._open.get(key)
        if flight is not None:
            return await asyncio.shield(flight)
        flight = self._open[key] = asyncio.get_running_loop().create_future()
        answered = False
        try:
            answered = await question()
            return answered
        finally:
            del self._open[key]
            flight.set_result(answered)
