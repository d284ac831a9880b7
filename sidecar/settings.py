"""What a sidecar is started with. The only reader of flags and of `POINTSMAN_*` variables."""

import argparse
import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from sidecar.telemetry.otel_settings import OtelSettings, read_otel
from sidecar.uplink_tls import TlsFiles

DEFAULT_LISTEN, DEFAULT_ADMIN = "127.0.0.1:4100", "127.0.0.1:4101"
DEFAULT_MAX_BODY = 32 << 20
TEXT, JSON = "text", "json"
ESTIMATE, VOCABULARY = "estimate", "vocabulary"
"""The two ways to tell how many tokens a request is before its provider has."""
OWN_CLIENT, AIOHTTP_CLIENT = "own", "aiohttp"
"""The two HTTP clients that providers are called with."""


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    rules: tuple[str, ...]
    listen: Address
    admin: Address
    state: Path
    use_case: str | None
    serves: tuple[str, ...]
    """Use cases that it asks its controllers for; none: all that it may see."""
    agent: str
    controller_token: Path | None
    """File; read again for each request, as tokens are rotated."""
    controller_tls: TlsFiles
    public_keys: tuple[bytes, ...]
    """Raw Ed25519 keys."""
    allow_hosts: tuple[str, ...]
    max_body_bytes: int
    drain_seconds: float
    token_counts: str
    """ESTIMATE or VOCABULARY."""
    upstream_client: str
    """OWN_CLIENT or AIOHTTP_CLIENT."""
    redis_url: str | None
    """Of the Redis or Valkey by which a fleet shares its limits. May hold a password."""
    otel: OtelSettings | None
    """How calls are sent as OpenTelemetry spans and metrics; None: they are not."""
    log_format: str
    """TEXT or JSON."""


def read_settings(argv: Sequence[str] | None, environ: Mapping[str, str]) -> Settings:
    """Flags first, then variables, then defaults. Ends the process with status 2 and one sentence on wrong usage."""
    parser = _parser(environ)
    args = parser.parse_args(argv)
    rules = args.rules or tuple(filter(None, environ.get("POINTSMAN_RULES", "").split()))
    if not rules:
        parser.error("--rules is required: a controller's URL, a rules folder, a bundle file or a ConfigMap folder")
    try:
        settings = Settings(
            rules=tuple(rules),
            listen=_address(args.listen),
            admin=_address(args.admin),
            state=Path(args.state),
            use_case=args.use_case,
            serves=tuple(args.serves or environ.get("POINTSMAN_SERVES", "").split()),
            agent=args.agent,
            controller_token=_controller_token(args.controller_token, rules, environ),
            controller_tls=_controller_tls(args.controller_ca, args.controller_cert, args.controller_key),
            public_keys=tuple(_public_key(path) for path in args.public_key or ()),
            allow_hosts=tuple(args.allow_host or ()),
            max_body_bytes=int(args.max_body),
            drain_seconds=float(args.drain),
            token_counts=_token_counts(args.token_counts),
            upstream_client=_one_of("--upstream-client", args.upstream_client, (OWN_CLIENT, AIOHTTP_CLIENT)),
            redis_url=_redis_url(args.redis_url),
            otel=_otel(args.otel, environ),
            log_format=_one_of("--log-format", args.log_format, (TEXT, JSON)),
        )
    except ValueError as error:
        parser.error(str(error))
    for source in settings.rules:
        if is_url(source) and not settings.public_keys and not is_loopback(source):
            parser.error(
                f"--rules {source}: a controller that is not on this machine needs --public-key, "
                "the file signing.pub from the controller's state folder"
            )
    return settings


def is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pointsman-sidecar",
        description="The gateway beside an agent: routes, falls back, and counts the money of every model call.",
        epilog="Every flag can also be given as a variable: --state is POINTSMAN_STATE.",
    )

    def flag(name: str, default: str | None, text: str) -> None:
        found = environ.get("POINTSMAN_" + name.upper().replace("-", "_"))
        parser.add_argument(
            f"--{name}", default=default if found is None else found, help=f"{text} (default: {default})"
        )

    parser.add_argument(
        "--rules", action="append", metavar="SOURCE",
        help="a controller's URL, a rules folder, a bundle file or a mounted ConfigMap folder; may be repeated, "
        "in order of preference (required)",
    )  # fmt: skip
    flag("listen", DEFAULT_LISTEN, "the address that agents call")
    flag("admin", DEFAULT_ADMIN, "the address of metrics, health and status")
    flag("state", str(default_state(environ)), "folder of the last good rules and the usage spool")
    flag("use-case", None, "what a call counts as when it does not say")
    flag("agent", "", "the agent's name when a call does not say")
    flag(
        "controller-token", None,
        "file: how this sidecar proves itself; for a controller on this machine the one that it made is found",
    )  # fmt: skip

    flag("controller-ca", None, "PEM file: who vouches for the controller's certificate, in place of the system's")
    flag("controller-cert", None, "PEM file: the certificate that this sidecar shows the controller")
    flag("controller-key", None, "PEM file: its key, where it does not stand beside it")

    def listed(name: str) -> list[str] | None:
        return environ.get(name, "").split() or None

    parser.add_argument(
        "--serves",
        action="append",
        metavar="USE_CASE",
        help="a use case that this sidecar serves; may be repeated. A controller then sends the rules of those alone "
        "(default: all that its token may see)",
    )
    parser.add_argument(
        "--public-key", action="append", metavar="FILE", default=listed("POINTSMAN_PUBLIC_KEY"),
        help="file: whose signature on rules is trusted; may be repeated while a key is rotated (default: None)",
    )  # fmt: skip
    parser.add_argument(
        "--allow-host", action="append", metavar="NAME", default=listed("POINTSMAN_ALLOW_HOST"),
        help="a Host that is served besides loopback and the listen address; may be repeated (default: None)",
    )  # fmt: skip
    flag("redis-url", None, "Redis or Valkey by which the fleet shares its limits, as redis://host:6379/0")
    flag("max-body", str(DEFAULT_MAX_BODY), "largest request body in bytes")
    flag("drain", "25", "seconds that open calls get to finish after SIGTERM")
    flag(
        "otel", "off",
        "on: calls are sent as OpenTelemetry spans and metrics, as the standard OTEL_* variables say (needs the extra "
        "`otel`)",
    )  # fmt: skip
    flag("log-format", TEXT, "text; or json: one object a line, with one line for each call")
    flag(
        "token-counts", ESTIMATE,
        "how long a request is taken to be before its provider has counted it: estimate, by its characters; or "
        "vocabulary, by OpenAI's tokens (needs the extra `tokens` and 63 MB)",
    )  # fmt: skip
    flag(
        "upstream-client", OWN_CLIENT,
        "what calls providers: own, our HTTP client; or aiohttp, which also does so where HTTPS_PROXY or HTTP_PROXY "
        "name a proxy",
    )  # fmt: skip
    return parser


def default_state(environ: Mapping[str, str], program: str = "sidecar") -> Path:
    """Where the XDG base directory specification puts a user's state."""
    base = environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(base) / "pointsman" / program


def _controller_token(named: str | None, rules: Sequence[str], environ: Mapping[str, str]) -> Path | None:
    """The file that was named; else, for a controller on this machine, the one in its state folder."""
    if named is not None:
        _read(named)
        return Path(named)
    if any(is_url(source) and is_loopback(source) for source in rules):
        return default_state(environ, "controller") / "sidecar.token"
    return None


def _controller_tls(ca: str | None, certificate: str | None, key: str | None) -> TlsFiles:
    if key and not certificate:
        raise ValueError("--controller-key needs --controller-cert")
    for named in filter(None, (ca, certificate, key)):
        _read(named)
    return TlsFiles(*(Path(named) if named else None for named in (ca, certificate, key)))


def _token_counts(wanted: str) -> str:
    if wanted not in (ESTIMATE, VOCABULARY):
        raise ValueError(f'--token-counts is {ESTIMATE} or {VOCABULARY}, not "{wanted}"')
    if wanted == VOCABULARY and find_spec("toktok") is None:
        raise ValueError(
            "--token-counts vocabulary needs what the extra `tokens` brings: pip install 'pointsman[tokens]'"
        )
    return wanted


def _otel(wanted: str, environ: Mapping[str, str]) -> OtelSettings | None:
    if _one_of("--otel", wanted, ("off", "on")) == "off":
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ValueError("--otel on needs what the extra `otel` brings: pip install 'pointsman[otel]'")
    return read_otel(environ)


def _one_of(flag: str, wanted: str, words: tuple[str, str]) -> str:
    if wanted not in words:
        raise ValueError(f'{flag} is {" or ".join(words)}, not "{wanted}"')
    return wanted


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f'"{text}" is not an address; write it as 127.0.0.1:4100')
    return Address(host.strip("[]"), int(port))


def _redis_url(text: str | None) -> str | None:
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in ("redis", "rediss", "unix") or not (
        parts.path if parts.scheme == "unix" else parts.hostname
    ):
        shown = f"{parts.scheme}://…" if parts.scheme else "--redis-url"
        raise ValueError(f"{shown} is not the URL of a Redis; write it as redis://host:6379/0, rediss://… or unix:///…")
    if find_spec("redis") is None:
        raise ValueError("--redis-url needs what the extra `redis` brings: pip install 'pointsman[redis]'")
    return text


def _public_key(path: str) -> bytes:
    text = _read(path)
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError as error:
        raise ValueError(f"{path} is not a public key: {error}") from error
    if len(key) != 32:
        raise ValueError(f"{path} is not an Ed25519 public key: {len(key)} bytes, not 32")
    return key


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {type(error).__name__}") from error
