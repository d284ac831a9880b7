"""Ports for programs that are told theirs before they start."""

import random
import socket
from typing import Final

NUMBERS: Final = range(20_000, 32_000)
"""Below those that Linux gives to whoever asks for any (ip_local_port_range): between the look and the program's start,
other tests' connections and servers take one of those now and then."""


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Different ones that nobody listens on now."""
    found: list[int] = []
    for port in random.sample(NUMBERS, len(NUMBERS)):
        if len(found) == count:
            break
        if _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
