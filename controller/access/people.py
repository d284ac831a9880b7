"""Who looks at the pages: a session in a signed cookie, or the name that an authenticating proxy sends.

A session is signed with the token that opened it: a token that counts no longer ends its sessions, on every controller
that has the same tokens, and nothing is kept.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import msgspec

from controller.settings import IPNetwork
from controller.tokens import Tokens

COOKIE: Final = "pointsman_session"
SESSION_SECONDS: Final = 8 * 3600
"""A working day."""
MAX_NAME_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Viewer:
    name: str
    """For the log; empty: somebody who may read."""
    mark: str
    """What its forms are bound to, so that no other site can send them in its name."""
    may_act: bool


class _Session(msgspec.Struct, frozen=True, array_like=True):
    may_act: bool
    until: int


class People:
    def __init__(self, tokens: Tokens, *, header: str | None = None, proxies: Sequence[IPNetwork] = ()) -> None:
        """
        Args:
            header: what names a person, believed from `proxies` alone; None: nothing does.
        """
        self._tokens = tokens
        self._header = header
        self._proxies = proxies

    def open_session(self, token: str, now: float) -> str | None:
        """The cookie's value. None: the token is neither admin.token nor sidecar.token.

        Args:
            now: seconds since the epoch.
        """
        may_act = self._tokens.is_admin(token)
        if not may_act and not self._tokens.is_sidecar(token):
            return None
        return _sealed(_Session(may_act, int(now) + SESSION_SECONDS), token)

    def in_session(self, cookie: str | None, now: float) -> Viewer | None:
        if not cookie or not cookie.isascii():
            return None
        body, _, seal = cookie.partition(".")
        tokens = [token for token in self._tokens.valid if hmac.compare_digest(seal, _mac(token, f"session {body}"))]
        if not tokens:
            return None
        try:
            session = msgspec.json.decode(base64.urlsafe_b64decode(body), type=_Session)
        except (binascii.Error, ValueError, msgspec.DecodeError):
            return None
        if session.until <= now:
            return None
        # What the token may do now decides, not what it could when the session began.
        may_act = session.may_act and self._tokens.is_admin(tokens[0])
        return Viewer("admin.token" if may_act else "sidecar.token", cookie, may_act)

    def named_by_proxy(self, headers: Mapping[str, str], peer: str | None) -> Viewer | None:
        """
        Args:
            peer: the address that the connection comes from.
        """
        if self._header is None or peer is None:
            return None
        name = headers.get(self._header, "").strip()
        address = ip_address(peer)
        if not name or len(name) > MAX_NAME_CHARACTERS or not any(address in network for network in self._proxies):
            return None
        return Viewer(name, f"named {name}", may_act=True)

    def form_key(self, viewer: Viewer) -> str:
        """Stands in every form of this viewer and comes back with it."""
        return _mac(self._tokens.admin, f"form {viewer.mark}")

    def is_form_key(self, viewer: Viewer, given: str) -> bool:
        return any([hmac.compare_digest(given.encode(), _mac(token, f"form {viewer.mark}").encode())
                    for token in self._tokens.valid])  # fmt: skip


def _sealed(session: _Session, token: str) -> str:
    body = base64.urlsafe_b64encode(msgspec.json.encode(session)).decode()
    return f"{body}.{_mac(token, f'session {body}')}"


def _mac(token: str, text: str) -> str:
    return hmac.new(token.encode(), text.encode(), hashlib.sha256).hexdigest()
