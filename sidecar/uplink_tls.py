"""How a sidecar trusts its controller's certificate, and shows one of its own: files, read again when they change."""

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    ca: Path | None = None
    """Who vouches for the controller; None: the system's authorities."""
    certificate: Path | None = None
    key: Path | None = None
    """None: it stands in the certificate's file."""


class UplinkTls:
    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._seen: list[tuple[int, int]] | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext | bool:
        """For the next connection; True where nothing was named. Raises OSError: a file is not what it must be."""
        named = [path for path in (self._files.ca, self._files.certificate, self._files.key) if path is not None]
        if not named:
            return True
        mark = [(found.st_mtime_ns, found.st_ino) for found in (path.stat() for path in named)]
        if self._context is None or mark != self._seen:
            context = ssl.create_default_context(cafile=self._files.ca)
            if self._files.certificate is not None:
                context.load_cert_chain(self._files.certificate, self._files.key)
            self._context, self._seen = context, mark
        return self._context
