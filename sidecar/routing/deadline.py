"""How long a call may take: the use case's deadline, or less where its caller says that it will not wait so long."""

import math
from collections.abc import Mapping

DEADLINE_HEADER = "x-pointsman-deadline"
"""Seconds, of the whole call."""

READ_TIMEOUT_HEADER = "x-stainless-read-timeout"
"""Seconds of silence after which the official SDKs of OpenAI and Anthropic give up (openai-python, `_base_client`);
for a plain call that is the whole of it."""


def deadline_seconds(own: float, headers: Mapping[str, str], *, stream: bool) -> float:
    """The whole call's, in seconds. What a header says that is no length of time is not heard."""
    said = [headers.get(DEADLINE_HEADER), None if stream else headers.get(READ_TIMEOUT_HEADER)]
    return min([own, *(seconds for text in said if (seconds := _seconds(text)) is not None)])


def _seconds(text: str | None) -> float | None:
    try:
        seconds = math.nan if text is None else float(text)
    except ValueError:
        return None
    return seconds if seconds > 0 else None
