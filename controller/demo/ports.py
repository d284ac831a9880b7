"""Ports of 127.0.0.1: whether one can be had, and some that no other demo takes meanwhile."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

SEARCHED = 500


class NoPorts(Exception):
    """There are not enough free ones where we looked."""


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1 at this TCP port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that has just ended there does not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return _binds(probe, port)


@contextmanager
def reserved(count: int, start: int) -> Iterator[tuple[int, ...]]:
    """The first free TCP ports from `start` on, ours among all demos of this machine while the block runs.

    A TCP port cannot be held and left to a child process at once: what is held is the UDP port of the same number.

    Raises:
        NoPorts: not enough are free.
    """
    with ExitStack() as stack:
        found: list[int] = []
        for port in range(start, min(start + SEARCHED, 65_536)):
            if len(found) == count:
                break
            held = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            if _binds(held, port) and is_free(port):
                found.append(port)
        if len(found) < count:
            raise NoPorts(f"no {count} free ports from {start} on")
        yield tuple(found)


def _binds(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
