"""What is measured: the servers, how each is started, and the rows of the table that they give.
A row is one way to call a server: the sidecar gives two, one for each dialect of the upstream."""

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from tests.bench import rules

REFS = Path(__file__).parent / "refs"
BASE = "R"
"""The row that ratios are taken to."""
DIRECT = "direct"
SIDECAR_COMMAND = (
    "{python} -m sidecar --rules {rules} --listen 127.0.0.1:{port} --admin 127.0.0.1:{admin} --state {state}"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one start of a server happens; ports and folder are fresh for each start."""

    folder: Path
    port: int
    admin_port: int
    upstream_port: int


@dataclass(frozen=True, slots=True)
class Server:
    """A program that listens on the port of its place. `command` writes the files that the program wants first."""

    name: str
    command: Callable[[Place], Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    """Why it cannot be measured here; empty when it can."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of results: calls for `model` on `server`, which must reach the upstream in `dialect`."""

    name: str
    server: Server | None
    """None: the upstream itself."""
    model: str
    dialect: str


def rows(gateway_command: str) -> tuple[Row, ...]:
    """Every row of the bench, in the order of the table. `gateway_command` is a template of SIDECAR_COMMAND's kind; it
    may also use `{upstream}`, the upstream's port."""
    sidecar = Server("sidecar", lambda place: sidecar_command(place, gateway_command), rules.KEYS)
    nginx = Server("nginx", _nginx, missing="" if shutil.which("nginx") else "not installed")
    return (
        Row(DIRECT, None, "bench-openai", "openai"),
        Row("nginx", nginx, "bench-openai", "openai"),
        Row(BASE, Server(BASE, _aiohttp_passthrough), "bench-openai", "openai"),
        Row("sidecar", sidecar, rules.SAME_DIALECT_ALIAS, "openai"),
        Row("sidecar-cross", sidecar, rules.CROSS_DIALECT_ALIAS, "anthropic"),
    )


def _aiohttp_passthrough(place: Place) -> list[str]:
    return [sys.executable, str(REFS / "aiohttp_passthrough.py"), str(place.port), str(place.upstream_port)]


def _nginx(place: Place) -> list[str]:
    config = place.folder / "nginx.conf"
    template = Template((REFS / "nginx.conf.in").read_text())
    config.write_text(template.substitute(folder=place.folder, port=place.port, upstream=place.upstream_port))
    return ["nginx", "-p", str(place.folder), "-c", str(config), "-e", str(place.folder / "nginx.log")]


def sidecar_command(place: Place, template: str) -> list[str]:
    """The sidecar's, with its rules written into the place's folder."""
    rules.write_rules(place.folder / "rules", place.upstream_port)
    values = {
        "python": sys.executable,
        "rules": place.folder / "rules",
        "state": place.folder / "state",
        "port": place.port,
        "admin": place.admin_port,
        "upstream": place.upstream_port,
    }
    return [part.format(**values) for part in shlex.split(template)]
