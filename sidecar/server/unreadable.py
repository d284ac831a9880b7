"""What is not HTTP: a line in the log for each, without its bytes, since those may hold a key."""

import logging

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError


class UnreadableRequests(logging.Filter):
    """For aiohttp's own server log, which quotes what it could not read and adds a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError | RequestPayloadError):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.msg, record.args = "http.unreadable error=%s", (type(error).__name__,)
            record.exc_info = None
        return True
