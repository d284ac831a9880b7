"""What `serve` can be told: flags, and `POINTSMAN_*` variables of the same names. A flag wins over its variable."""

import argparse
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, TypeAlias

from controller.errors import CannotStart

DEFAULT_LISTEN: Final = "127.0.0.1:4200"
DEFAULT_CONTROLLER: Final = f"http://{DEFAULT_LISTEN}"
DEFAULT_INJECT_LISTEN: Final = "0.0.0.0:4443"
IPNetwork: TypeAlias = IPv4Network | IPv6Network
LOOPBACK: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1"))
DEFAULT_KEEP_CALLS_DAYS: Final = 400
"""A year to compare with, and the month in which one does."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    repo: str
    """A git URL, a git repository on this machine, or a plain folder."""
    state: Path
    ref: str = "main"
    path: str = "."
    listen_host: str = "127.0.0.1"
    listen_port: int = 4200
    """0 takes any free port."""
    poll_seconds: float = 15.0
    signing_key: Path | None = None
    tokens: Path | None = None
    tls_cert: Path | None = None
    """PEM; with it the API is served by TLS."""
    tls_key: Path | None = None
    """None: the key stands in the certificate's file."""
    client_ca: Path | None = None
    """PEM: whose client certificates count."""
    access: Path | None = None
    """Which use cases further tokens, service accounts and certificates may see."""
    log_format: str = "text"
    """`text` or `json`."""
    allow_hosts: tuple[str, ...] = ()
    database_url: str | None = None
    """None: SQLite in the state folder. Holds a password: never shown."""
    hook_secret: Path | None = None
    """A file; its content signs push events. None: none are taken."""
    allowed_signers: Path | None = None
    """git's allowed signers file; with it, a commit that none of them signed does not run."""
    identity_header: str | None = None
    """What an authenticating proxy names a person in; None: no header is believed."""
    identity_proxies: tuple[IPNetwork, ...] = LOOPBACK
    """Whence that header is believed."""
    playground_sidecar: str | None = None
    """URL; None: people send no prompts from a page."""
    keep_calls_days: int | None = DEFAULT_KEEP_CALLS_DAYS
    """None: for ever."""
    inject: Path | None = None
    """What pods that ask for a sidecar are given; None: no webhook."""
    inject_host: str = "0.0.0.0"
    inject_port: int = 4443
    inject_cert: Path | None = None
    inject_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Option:
    flag: str
    help: str
    default: str | None = None
    is_list: bool = False

    @property
    def variable(self) -> str:
        return "POINTSMAN_" + self.flag.removeprefix("--").replace("-", "_").upper()


SERVE_OPTIONS: Final = (
    Option("--repo", "rules: a git URL, a git repository (commits at --ref), or a plain folder (watched as it lies)"),
    Option("--ref", "branch, tag or commit to follow", "main"),
    Option("--path", "folder of the rules inside the repository", "."),
    Option("--listen", "address of the API; port 0 takes a free one", DEFAULT_LISTEN),
    Option(
        "--state", "folder for keys, tokens, the ledger, the mirror and the last good bundle",
        "~/.local/state/pointsman/controller",
    ),
    Option(
        "--database-url", "postgresql://… for what several controllers share: what runs, the fleet, the ledger; best "
        "given by its variable, as it holds a password", "SQLite in --state",
    ),
    Option(
        "--keep-calls", "how long single calls are kept, in days such as 90d, or forever; the sums that `usage` shows "
        "are always kept", f"{DEFAULT_KEEP_CALLS_DAYS}d",
    ),
    Option("--tls-cert", "PEM file with the API's certificate, renewed as it changes; serves https", "http"),
    Option("--tls-key", "PEM file with its key", "in --tls-cert"),
    Option("--client-ca", "PEM file of the authority whose client certificates --access may name", "none count"),
    Option("--poll", "how often a git URL is fetched: 15s, 500ms, 2m", "15s"),
    Option(
        "--signing-key", "file with the Ed25519 seed in base64; the one that it replaces on a further line",
        "<state>/signing.key, made on first start",
    ),
    Option("--tokens", "folder with sidecar.token and admin.token", "<state>, made on first start"),
    Option(
        "--access", "file that says which use cases further tokens, Kubernetes service accounts and client "
        "certificates may see", "sidecar.token alone",
    ),
    Option(
        "--hook-secret", "file with the secret of the forge's webhook to /hooks/git (GitHub, GitLab, Gitea)", "no hook"
    ),
    Option(
        "--require-signed", "file of allowed signers (ssh-keygen(1)): only commits that one of them signed by SSH run",
        "any commit",
    ),
    Option("--inject", "file with the sidecar that Kubernetes' admission gives to pods that ask for one", "no webhook"),
    Option("--inject-listen", "address of that webhook, apart from the API", DEFAULT_INJECT_LISTEN),
    Option("--inject-cert", "PEM file with its certificate, renewed as it changes", "required with --inject"),
    Option("--inject-key", "PEM file with its key", "in --inject-cert"),
    Option("--log-format", "text; or json: one object a line", "text"),
    Option(
        "--identity-header", "header in which an authenticating proxy names the person who looks at the pages; it may "
        "read and act", "none is believed",
    ),
    Option(
        "--identity-proxy", "address or network of that proxy, such as 10.1.0.0/16; may be repeated", "loopback",
        is_list=True,
    ),
    Option(
        "--playground-sidecar", "URL of a sidecar that people who may act can send prompts to from the playground",
        "nobody can",
    ),
    Option("--allow-host", "a further name accepted in Host and Origin; may be repeated", "none", is_list=True),
)  # fmt: skip


def add_options(parser: argparse.ArgumentParser, options: tuple[Option, ...] = SERVE_OPTIONS) -> None:
    for option in options:
        default = "required" if option.default is None else f"default: {option.default}"
        parser.add_argument(
            option.flag,
            action="append" if option.is_list else "store",
            metavar=option.flag.removeprefix("--").upper().replace("-", "_"),
            help=f"{option.help} [{option.variable}; {default}]".replace("%", "%%"),
        )


def serve_settings(args: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> ServeSettings:
    """Flags and variables to settings.

    Raises:
        CannotStart: one is missing or not understood; the message names it.
    """
    given = {option.flag: _given(option, args, environment) for option in SERVE_OPTIONS}
    repo = given["--repo"]
    if not repo:
        raise CannotStart("--repo (or POINTSMAN_REPO) is required: a git URL, a repository or a folder of rules")
    ref = given["--ref"] or "main"
    if ref.startswith("-") or any(character in ref for character in " ~^:?*[\\"):
        raise CannotStart(f"--ref must name a branch, a tag or a commit, not {ref!r}")
    if not given["--tls-cert"] and (given["--tls-key"] or given["--client-ca"]):
        raise CannotStart("--tls-key and --client-ca need --tls-cert")
    if given["--identity-proxy"] and not given["--identity-header"]:
        raise CannotStart("--identity-proxy needs --identity-header")
    if bool(given["--inject"]) != bool(given["--inject-cert"]):
        raise CannotStart("--inject and --inject-cert go together: Kubernetes calls a webhook by https alone")
    host, port = parse_listen("--listen", given["--listen"] or DEFAULT_LISTEN)
    inject_host, inject_port = parse_listen("--inject-listen", given["--inject-listen"] or DEFAULT_INJECT_LISTEN)
    return ServeSettings(
        repo=repo,
        state=Path(given["--state"]).expanduser() if given["--state"] else default_state(environment),
        ref=ref,
        path=_inside(given["--path"] or "."),
        listen_host=host,
        listen_port=port,
        poll_seconds=parse_duration("--poll", given["--poll"] or "15s"),
        signing_key=_path(given["--signing-key"]),
        tokens=_path(given["--tokens"]),
        access=_path(given["--access"]),
        tls_cert=_path(given["--tls-cert"]),
        tls_key=_path(given["--tls-key"]),
        client_ca=_path(given["--client-ca"]),
        hook_secret=_path(given["--hook-secret"]),
        allowed_signers=_path(given["--require-signed"]),
        database_url=given["--database-url"],
        keep_calls_days=parse_days("--keep-calls", given["--keep-calls"] or f"{DEFAULT_KEEP_CALLS_DAYS}d"),
        inject=_path(given["--inject"]),
        inject_host=inject_host,
        inject_port=inject_port,
        inject_cert=_path(given["--inject-cert"]),
        inject_key=_path(given["--inject-key"]),
        log_format=_log_format(given["--log-format"] or "text"),
        identity_header=given["--identity-header"],
        identity_proxies=_networks(given["--identity-proxy"]) or LOOPBACK,
        playground_sidecar=_url(given["--playground-sidecar"]),
        allow_hosts=tuple(name for name in (given["--allow-host"] or "").split(",") if name),
    )


def _url(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"https?://[^\s/@]+/?", text):
        raise CannotStart(f"--playground-sidecar must be a sidecar's URL such as http://127.0.0.1:4100, not {text!r}")
    return None if text is None else text.rstrip("/")


def _log_format(text: str) -> str:
    if text not in ("text", "json"):
        raise CannotStart(f"--log-format is text or json, not {text!r}")
    return text


def default_state(environment: Mapping[str, str]) -> Path:
    """XDG Base Directory Specification: state that should persist between restarts."""
    base = environment.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "pointsman" / "controller"


def parse_listen(flag: str, text: str) -> tuple[str, int]:
    """`127.0.0.1:4200`, `[::1]:4200`, `localhost:0`. Raises `CannotStart`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise CannotStart(f"{flag} must be host:port, not {text!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def parse_duration(flag: str, text: str) -> float:
    """Seconds from `15s`, `500ms`, `2m` or a bare number of seconds. Raises `CannotStart`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m)?", text)
    seconds = float(found[1]) * {"ms": 0.001, "m": 60.0}.get(found[2], 1.0) if found else 0.0
    if seconds <= 0:
        raise CannotStart(f"{flag} must be a duration such as 15s, not {text!r}")
    return seconds


def parse_days(flag: str, text: str) -> int | None:
    """Days from `90d`; None from `forever`. Raises `CannotStart`."""
    if text == "forever":
        return None
    found = re.fullmatch(r"(\d{1,5})d", text)
    if found is None or int(found[1]) == 0:
        raise CannotStart(f"{flag} must be days such as 90d, or forever, not {text!r}")
    return int(found[1])


def _given(option: Option, args: argparse.Namespace, environment: Mapping[str, str]) -> str | None:
    value = getattr(args, option.flag.removeprefix("--").replace("-", "_"))
    if isinstance(value, list):
        return ",".join(value)
    return value if value is not None else environment.get(option.variable) or None


def _networks(text: str | None) -> tuple[IPNetwork, ...]:
    try:
        return tuple(ip_network(one.strip()) for one in (text or "").split(",") if one.strip())
    except ValueError as error:
        raise CannotStart(f"--identity-proxy must be an address or a network such as 10.1.0.0/16: {error}") from error


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise CannotStart(f"--path is a folder inside the repository, not {path!r}")
    return path
