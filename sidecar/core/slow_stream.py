"""Is a stream too slow to be of use? Its beginning is held back until that is known: a few sentences of a fast one."""

import asyncio

from schemas.bundle import SlowStream
from sidecar.canonical.events import ReasoningDelta, RefusalDelta, TextDelta, ToolArgumentsDelta
from sidecar.dialects.base import StreamDecoder, Tap
from sidecar.errors import StreamSlow
from sidecar.ports import Clock, UpstreamAnswer

ENOUGH_CHARACTERS = 256
"""A few sentences: what comes that far in time will come in time."""


class Pace:
    """Counts the characters of one stream's beginning. Fed what the provider sent, beside the tap."""

    def __init__(self, rule: SlowStream, decoder: StreamDecoder) -> None:
        self._rule = rule
        self._decoder = decoder
        self._characters = 0

    def feed(self, data: bytes) -> None:
        for event in self._decoder.feed(data):
            match event:
                case TextDelta(text=text) | ReasoningDelta(text=text) | RefusalDelta(text=text):
                    self._characters += len(text)
                case ToolArgumentsDelta(fragment=fragment):
                    self._characters += len(fragment)
                case _:
                    pass

    async def judge(self, answer: UpstreamAnswer, tap: Tap, clock: Clock) -> bytes:
        """What the caller gets of the time in which the stream was looked at.

        Raises:
            StreamSlow: too few characters in that time.
            UpstreamError: it failed meanwhile.
        """
        began, held = clock.monotonic(), b""
        try:
            async with asyncio.timeout(self._rule.within):
                while self._characters < ENOUGH_CHARACTERS and not tap.finished:
                    data = await answer.chunk()
                    self.feed(data)
                    held += tap.feed(data) if data else tap.finish()
                    if tap.failed is not None:
                        raise tap.failed
        except TimeoutError:
            pass
        seconds = clock.monotonic() - began
        if not tap.finished and self._characters < self._rule.characters_per_second * seconds:
            raise StreamSlow(f"{self._characters} characters in {seconds:.1f} s, which is too slow for this use case")
        return held
