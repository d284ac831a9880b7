"""How long a call may take: the use case's deadline, or less where its caller says that it will not wait so long."""

from collections.abc import Mapping

DEADLINE_HEADER = "x-pointsman-deadline"
"""Seconds, of the whole call."""

READ_TIMEOUT_HEADER = "x-stainless-read-timeout"
"""Seconds of silence after which the official SDKs of OpenAI and Anthropic give up (openai-python, `_base_client`);
for a plain call that is the whole of it."""

BOTH = (DEADLINE_HEADER, READ_TIMEOUT_HEADER)


def deadline_seconds(own: float, headers: Mapping[str, str], *, stream: bool) -> float:
    """The whole call's, in seconds. What a header says that is no length of time is not heard."""
    said = [text for name in ((DEADLINE_HEADER,) if stream else BOTH) if (text := headers.get(name)) is not None]
    return min([own, *(seconds for text in said if (seconds := _seconds(text)) is not None)]) if said else own


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if seconds > 0 else None
