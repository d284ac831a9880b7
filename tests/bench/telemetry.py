"""`python -m tests.bench.telemetry`: the same calls told as nothing, as JSON log lines, and as OpenTelemetry spans.

It reports and judges nothing. The collector is a small one in this process, on the core of the load.
"""

import sys
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.bench import rules, targets
from tests.bench.targets import SIDECAR_COMMAND, Place, Row, Server
from tests.bench.variants import compare

TELLING: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "off": ("", {}),
    "json log": ("--log-format json", {}),
    "otel 10 %": (
        "--otel on", {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
    ),
    "otel all": ("--otel on", {}),
}  # fmt: skip
"""Row → flags and variables of its sidecar."""


class _Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    collector = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{collector.server_port}"
    return compare([_row(name, url) for name in TELLING], "tests.bench.telemetry", __doc__, arguments)


def _row(name: str, collector: str) -> Row:
    flags, variables = TELLING[name]

    def command(place: Place) -> list[str]:
        return targets.sidecar_command(place, f"{SIDECAR_COMMAND} {flags}")

    environment = {**rules.KEYS, **variables, "OTEL_EXPORTER_OTLP_ENDPOINT": collector}
    server = Server(name.replace(" ", "-").replace("%", "percent"), command, environment)
    return Row(name, server, rules.SAME_DIALECT_ALIAS, "openai")


if __name__ == "__main__":
    sys.exit(main())
