"""Asking a running controller, for the commands that show what it knows."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from controller.settings import DEFAULT_CONTROLLER, default_state
from controller.tokens import ADMIN_FILE

TIMEOUT_SECONDS: Final = 20.0


class ControllerSaysNo(Exception):
    """It answered with an error of its own; the text is its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.is_wrong_usage = status == 400


class NotReachable(Exception):
    """No controller answered at that address."""


def failed(command: str, error: Exception) -> int:
    """Tells why a command has no answer, and gives its exit status: 2 where it was asked in the wrong way, else 1."""
    print(f"pointsman {command}: {error}", file=sys.stderr)
    return 2 if isinstance(error, ControllerSaysNo) and error.is_wrong_usage else 1


def add_options(parser: argparse.ArgumentParser, formats: Sequence[str] = ("text", "json")) -> None:
    """The first format is the default."""
    parser.add_argument(
        "--controller", metavar="URL", default=os.environ.get("POINTSMAN_CONTROLLER") or DEFAULT_CONTROLLER,
        help=f"where the controller listens [POINTSMAN_CONTROLLER; default: {DEFAULT_CONTROLLER}]",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=formats, default=formats[0], help=f"for people or for programs [default: {formats[0]}]"
    )


def add_admin_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--admin-token", metavar="FILE", type=Path, default=os.environ.get("POINTSMAN_ADMIN_TOKEN") or None,
        help="file with the controller's admin token [POINTSMAN_ADMIN_TOKEN; default: admin.token where `serve` on "
        "this machine keeps it]",
    )  # fmt: skip


def add_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--token", metavar="FILE", type=Path, default=os.environ.get("POINTSMAN_TOKEN") or None,
        help="file with a token that may read: the controller's admin.token or sidecar.token, or one to which --access "
        "gives every use case [POINTSMAN_TOKEN; default: the admin.token of a controller on this machine]",
    )  # fmt: skip


def token_to_read(args: argparse.Namespace) -> str | None:
    """None: there is none at hand, which a controller on this machine may not ask for.

    Raises:
        ControllerSaysNo: the file that was named holds none.
    """
    if args.token is not None:
        return _token_in(Path(args.token).expanduser(), "--token")
    path = _own_admin_file()
    # Another machine is not shown what nobody meant for it.
    return _token_in(path, "--token") if _is_loopback(args.controller) and path.is_file() else None


def admin_token(args: argparse.Namespace) -> str:
    """What `--admin-token` holds, in its first line. Raises `ControllerSaysNo`: no such file."""
    return _token_in(Path(args.admin_token or _own_admin_file()).expanduser(), "--admin-token")


def _own_admin_file() -> Path:
    folder = os.environ.get("POINTSMAN_TOKENS") or os.environ.get("POINTSMAN_STATE") or default_state(os.environ)
    return Path(folder).expanduser() / ADMIN_FILE


def _token_in(path: Path, flag: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip().partition("\n")[0].rstrip()
    except (OSError, UnicodeDecodeError) as error:
        raise ControllerSaysNo(400, f"no token in {path}; name the controller's {ADMIN_FILE} by {flag}") from error


def fetch_json(
    controller: str, path: str, query: Mapping[str, str], *, token: str | None = None, body: object = None
) -> Any:
    """The controller's answer to a GET, or with a body to a POST; with a token where the path asks for one.

    Raises as `fetch` does.
    """
    answer = fetch(controller, path, query, token=token, body=body)
    try:
        return json.loads(answer)
    except ValueError as error:
        raise NotReachable(f"what answers at {controller} is not a Pointsman controller") from error


def fetch(
    controller: str, path: str, query: Mapping[str, str], *, token: str | None = None, body: object = None
) -> bytes:
    """The answer as it came.

    Raises:
        ControllerSaysNo: it refused.
        NotReachable: nothing that speaks our API is there.
    """
    if urlsplit(controller).scheme not in ("http", "https"):
        raise ControllerSaysNo(400, f"--controller must be a URL such as {DEFAULT_CONTROLLER}, not {controller!r}")
    url = f"{controller.rstrip('/')}{path}?{urlencode(query)}".rstrip("?")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    data = None if body is None else json.dumps(body).encode()
    # A proxy from the environment would not find what listens on this machine.
    opener = build_opener(ProxyHandler({})) if _is_loopback(controller) else build_opener()
    try:
        with opener.open(Request(url, data, headers), timeout=TIMEOUT_SECONDS) as response:
            content: bytes = response.read()
            return content
    except HTTPError as error:
        with error:
            raise ControllerSaysNo(error.code, _message(error)) from error
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise NotReachable(f"no controller at {controller} ({reason}); is `pointsman serve` running?") from error


def _message(error: HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code}"


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
