"""The real `Clock`: the one place of the sidecar that asks what time it is."""

import asyncio
import random
import time
from collections.abc import Callable

from sidecar.ports import Timer


class SystemClock:
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    jitter = staticmethod(random.random)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)


SYSTEM_CLOCK = SystemClock()
