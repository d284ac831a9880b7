"""Times as records write them."""

from datetime import UTC, datetime


def time_text(seconds: float) -> str:
    """RFC 3339, UTC, milliseconds. `seconds` since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
