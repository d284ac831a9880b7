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
from tests.fakes.processes import REPOSITORY

REFS = Path(__file__).parent / "refs"
PEERS = REPOSITORY / ".cache" / "peers"
"""Where `make bench-peers` installs other gateways."""
LITELLM_KEYS = {"BENCH_OPENAI_KEY": "sk-bench-openai", "LITELLM_MASTER_KEY": "sk-bench-agent"}
"""It does not start without a key for its callers: theirs is the load generator's."""
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
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every call; `{upstream}` is the upstream's port."""

    def headers_at(self, upstream_port: int) -> dict[str, str]:
        return {name: value.replace("{upstream}", str(upstream_port)) for name, value in self.headers.items()}


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
        *peers(),
    )


def peers() -> tuple[Row, ...]:
    """Other gateways, where `make bench-peers` has installed them: told where the upstream is, and no more."""
    litellm, portkey = PEERS / "litellm/bin/litellm", PEERS / "node_modules/@portkey-ai/gateway/build/start-server.js"
    found = []
    if litellm.exists():
        server = Server("litellm", lambda place: _litellm(litellm, place), LITELLM_KEYS)
        found.append(Row("litellm", server, "bench-openai", "openai"))
    if portkey.exists():
        server = Server("portkey", lambda place: ["node", str(portkey), f"--port={place.port}", "--headless"])
        headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": "http://127.0.0.1:{upstream}/v1"}
        found.append(Row("portkey", server, "bench-openai", "openai", headers))
    return tuple(found)


def _aiohttp_passthrough(place: Place) -> list[str]:
    return [sys.executable, str(REFS / "aiohttp_passthrough.py"), str(place.port), str(place.upstream_port)]


def _litellm(program: Path, place: Place) -> list[str]:
    config = place.folder / "litellm.yaml"
    upstream = f"http://127.0.0.1:{place.upstream_port}/v1"
    params = f"{{model: openai/bench-openai, api_base: {upstream}, api_key: os.environ/BENCH_OPENAI_KEY}}"
    config.write_text(f"model_list:\n  - model_name: bench-openai\n    litellm_params: {params}\n")
    listen = ["--host", "127.0.0.1", "--port", str(place.port), "--num_workers", "1"]
    return [str(program), "--config", str(config), *listen]


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
