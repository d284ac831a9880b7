"""TLS of the API: the controller's own certificate, and whose clients' certificates count."""

import asyncio
import ssl
from pathlib import Path
from typing import Final

from controller import logs
from controller.errors import CannotStart

LOOK_SECONDS: Final = 30.0
"""Between two looks at whether the certificate was renewed."""


def server_context(certificate: Path, key: Path | None, client_ca: Path | None) -> ssl.SSLContext:
    """Clients may show a certificate where `client_ca` is given, and need none: a token proves as much.

    Args:
        key: None: it stands in the certificate's file.

    Raises:
        CannotStart: a file is not what it must be.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(str(path) for path in (certificate, key, client_ca) if path is not None)
        raise CannotStart(f"certificate, key or authority in {files} cannot be used: {error}") from error
    return context


async def renew_certificate(
    context: ssl.SSLContext, certificate: Path, key: Path | None, *, look_seconds: float = LOOK_SECONDS
) -> None:
    """Takes up a renewed certificate for connections to come. Never returns by itself."""
    files = [path for path in (certificate, key) if path is not None]
    seen = await asyncio.to_thread(_mark, files)
    while True:
        await asyncio.sleep(look_seconds)
        mark = await asyncio.to_thread(_mark, files)
        if mark == seen:
            continue
        try:
            await asyncio.to_thread(context.load_cert_chain, certificate, key)
        except OSError as error:  # half of a renewal: looked at again
            logs.warn("tls.not_renewed", certificate=certificate, error=error)
        else:
            seen = mark
            logs.event("tls.renewed", certificate=certificate)


def _mark(files: list[Path]) -> list[tuple[int, int]]:
    """Empty where one of them is away just now."""
    try:
        return [(found.st_mtime_ns, found.st_ino) for found in (path.stat() for path in files)]
    except OSError:
        return []
