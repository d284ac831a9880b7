"""What the standard `OTEL_*` variables ask for, as far as the SDK does not read them itself. Pure.

Source: OpenTelemetry specification, "Environment Variable Specification".
"""

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_QUEUE = 2048
DEFAULT_DELAY_MILLISECONDS = 5000


@dataclass(frozen=True, slots=True)
class OtelSettings:
    spans: bool = True
    metrics: bool = True
    queue: int = DEFAULT_QUEUE
    """Calls that wait, at most."""
    delay_seconds: float = DEFAULT_DELAY_MILLISECONDS / 1000


def read_otel(environ: Mapping[str, str]) -> OtelSettings:
    """Raises ValueError: a variable holds what cannot be meant; in words for whoever set it."""
    return OtelSettings(
        spans=_is_sent(environ, "TRACES"),
        metrics=_is_sent(environ, "METRICS"),
        queue=_whole(environ, "OTEL_BSP_MAX_QUEUE_SIZE", DEFAULT_QUEUE),
        delay_seconds=_whole(environ, "OTEL_BSP_SCHEDULE_DELAY", DEFAULT_DELAY_MILLISECONDS) / 1000,
    )


def _is_sent(environ: Mapping[str, str], signal: str) -> bool:
    """Raises ValueError: by another protocol than the one that is spoken here."""
    general = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or general
    exporter = environ.get(f"OTEL_{signal}_EXPORTER") or "otlp"
    if exporter not in ("otlp", "none"):
        raise ValueError(f'OTEL_{signal}_EXPORTER is otlp or none here, not "{exporter}"')
    if exporter == "otlp" and protocol != "http/protobuf":
        raise ValueError(f'OTLP is spoken as http/protobuf here, not "{protocol}"; a collector takes both')
    return exporter == "otlp"


def _whole(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f'{name} is a whole number above 0, not "{text}"')
    return int(text)
