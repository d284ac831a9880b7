"""One field of a multipart form, found while the form arrives (RFC 7578; RFC 2046, section 5.1). No I/O."""

import re

from sidecar.errors import MalformedRequest

MAX_HEADERS_BYTES = 16 << 10
"""Of one part; a form whose parts need more is passed on unread."""
MAX_VALUE_BYTES = 1 << 10
"""Of the field; what is longer is no name of a model."""

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^;\s"]{1,70}))', re.IGNORECASE)
_DISPOSITION = re.compile(rb"^content-disposition:[ \t]*form-data([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_FILE = re.compile(rb";[ \t]*filename\*?=", re.IGNORECASE)


def boundary_of(content_type: str) -> bytes:
    """Raises MalformedRequest: a form that does not say where its parts end."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise MalformedRequest("the content type multipart/form-data must name its boundary")
    return (found[1] or found[2]).encode()


class FormField:
    """Keeps what has arrived. Every byte is looked at once, however large a file comes before the field."""

    def __init__(self, boundary: bytes, name: str) -> None:
        self.arrived = bytearray()
        self.done = False
        """Found, or it will not be: nothing more needs to arrive."""
        self._span: tuple[int, int] | None = None
        self._mark = b"--" + boundary
        self._name = re.compile(rb';[ \t]*name=(?:"%b"|%b(?=;|[ \t]|$))' % (name.encode(), name.encode()))
        self._at = 0
        """What lies before was looked at."""
        self._start = 0
        """Where the value begins, while it arrives."""
        self._read = self._find_part

    @property
    def value(self) -> str:
        """Empty where the form has no such field, so far. Raises MalformedRequest: it is not UTF-8."""
        if self._span is None:
            return ""
        try:
            return self.arrived[slice(*self._span)].decode()
        except UnicodeDecodeError as error:
            raise MalformedRequest("the form's `model` is not UTF-8") from error

    def feed(self, data: bytes) -> None:
        self.arrived += data
        while not self.done and self._read():
            pass

    def with_value(self, value: str) -> bytes:
        """What has arrived, with another value in the field."""
        if self._span is None:
            return bytes(self.arrived)
        start, end = self._span
        return bytes(self.arrived[:start]) + value.encode() + bytes(self.arrived[end:])

    def _find_part(self) -> bool:
        """True when there is more to read of what has arrived."""
        at = self.arrived.find(self._mark, self._at)
        if at < 0:
            self._at = max(self._at, len(self.arrived) - len(self._mark) + 1)
            return False
        self._at = at + len(self._mark)
        if at == 0 or self.arrived.endswith(b"\r\n", 0, at):
            self._read = self._read_headers
        return True

    def _read_headers(self) -> bool:
        if self.arrived.startswith(b"--", self._at):
            self.done = True
            return False
        end = self.arrived.find(b"\r\n\r\n", self._at, self._at + MAX_HEADERS_BYTES)
        if end < 0:
            self.done = len(self.arrived) - self._at >= MAX_HEADERS_BYTES
            return False
        said = _DISPOSITION.search(self.arrived, self._at, end)
        is_ours = said is not None and self._name.search(said[1]) is not None and _FILE.search(said[1]) is None
        self._at = self._start = end + 4
        self._read = self._read_value if is_ours else self._find_part
        return True

    def _read_value(self) -> bool:
        end = self.arrived.find(b"\r\n" + self._mark, self._start, self._start + MAX_VALUE_BYTES + len(self._mark) + 2)
        if end >= 0:
            self._span = (self._start, end)
        self.done = end >= 0 or len(self.arrived) - self._start > MAX_VALUE_BYTES + len(self._mark)
        return False
