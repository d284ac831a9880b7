"""Limits as a caller reads them, under the names and in the form of OpenAI's own rate limit headers.

Durations are written as there: `12ms`, `1.5s`, `6m0s` (platform.openai.com, "Rate limits in headers").
"""

from collections.abc import Mapping
from math import ceil


def limit_headers(unit: str, limit: int, remaining: int, reset_seconds: float) -> dict[str, str]:
    """`unit`: `requests` or `tokens`."""
    return {
        f"x-ratelimit-limit-{unit}": str(limit),
        f"x-ratelimit-remaining-{unit}": str(remaining),
        f"x-ratelimit-reset-{unit}": duration(reset_seconds),
    }


def retry_headers(wait_seconds: float) -> Mapping[str, str]:
    return {"retry-after": str(max(1, ceil(wait_seconds)))}


def duration(seconds: float) -> str:
    milliseconds = ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:g}s"
    minutes, rest = divmod(ceil(seconds), 60)
    return f"{minutes}m{rest}s"
