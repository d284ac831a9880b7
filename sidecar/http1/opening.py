"""From an origin to an open connection: names looked up, addresses tried side by side, TLS verified."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from functools import cached_property, partial
from ipaddress import ip_address

import aiohappyeyeballs
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import DefaultResolver

from sidecar.http1.errors import NotReached
from sidecar.http1.place import Origin
from sidecar.ports import Clock

HAPPY_EYEBALLS_SECONDS = 0.25
"""Until the next address is tried beside the one before (RFC 8305, 5)."""

AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]
ANY_FAMILY = socket.AddressFamily.AF_UNSPEC


class Opener:
    """Holds looked-up names for a while, and the trust in certificates."""

    def __init__(self, clock: Clock, *, names_seconds: float, resolver: AbstractResolver | None) -> None:
        """`resolver`: None is the system's."""
        self._clock = clock
        self._names_seconds = names_seconds
        self._resolver = resolver
        self._found: dict[tuple[str, int], tuple[float, asyncio.Task[list[AddressInfo]]]] = {}

    async def open(self, origin: Origin, make: Callable[[], asyncio.Protocol], seconds: float) -> asyncio.Protocol:
        """Within `seconds` for all of it. Raises NotReached."""
        try:
            async with asyncio.timeout(seconds):
                return await self._open(origin, make)
        except TimeoutError as error:
            raise NotReached(f"no connection within {seconds:g} s") from error
        except ssl.SSLError as error:
            raise NotReached(error.reason or type(error).__name__) from error
        except OSError as error:
            raise NotReached(_plainly(error)) from error
        except ValueError as error:  # a name that cannot be looked up
            raise NotReached(type(error).__name__) from error

    async def close(self) -> None:
        for _, task in tuple(self._found.values()):
            task.cancel()
        if self._resolver is not None:
            await self._resolver.close()

    async def _open(self, origin: Origin, make: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        loop = asyncio.get_running_loop()
        sock = await aiohappyeyeballs.start_connection(
            await self._addresses(origin),
            happy_eyeballs_delay=HAPPY_EYEBALLS_SECONDS,
            interleave=1,
            loop=loop,
        )
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _, connection = await loop.create_connection(
                make,
                sock=sock,
                ssl=self._trust if origin.is_tls else None,
                server_hostname=origin.host.rstrip(".") if origin.is_tls else None,
            )
        except BaseException:
            sock.close()
            raise
        return connection

    async def _addresses(self, origin: Origin) -> list[AddressInfo]:
        """Callers of one name at the same time share one look-up; none of them that leaves takes it with it."""
        key, now = (origin.host, origin.port), self._clock.monotonic()
        if _is_address(origin.host):
            return [_info(*key)]
        known = self._found.get(key)
        if known is None or known[0] <= now:
            task = asyncio.get_running_loop().create_task(self._look_up(*key))
            known = self._found[key] = (now + self._names_seconds, task)
            task.add_done_callback(partial(self._forget_failure, key))
        found = await asyncio.shield(known[1])
        turn = list(found)
        found.append(found.pop(0))  # the next connection begins with another one of a provider's addresses
        return turn

    def _forget_failure(self, key: tuple[str, int], task: "asyncio.Task[list[AddressInfo]]") -> None:
        """The next one asks again."""
        if (task.cancelled() or task.exception() is not None) and self._found.get(key, (0.0, None))[1] is task:
            del self._found[key]

    async def _look_up(self, host: str, port: int) -> list[AddressInfo]:
        if self._resolver is None:
            self._resolver = DefaultResolver()
        return [_info(found["host"], found["port"]) for found in await self._resolver.resolve(host, port, ANY_FAMILY)]

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """Made when the first provider asks for TLS: reading the system's certificates takes a moment."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(("http/1.1",))
        return context


def _plainly(error: OSError) -> str:
    """A failed look-up's number is not the system's."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _info(address: str, port: int) -> AddressInfo:
    where: tuple[str, int] | tuple[str, int, int, int] = (address, port, 0, 0) if ":" in address else (address, port)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where
