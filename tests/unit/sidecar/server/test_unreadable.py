"""What is not HTTP is logged in one line without its bytes; anything else stays as it is."""

import logging
import sys

import pytest
from aiohttp.http_exceptions import BadHttpMessage

from sidecar.server.unreadable import UnreadableRequests


def logged(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except Exception:
        record = logging.LogRecord("x", logging.ERROR, "p", 1, "Error handling request", (), sys.exc_info())
    assert UnreadableRequests().filter(record)
    return record


@pytest.mark.parametrize("error", [BadHttpMessage("x-api-key: sk-secret")])
def test_bytes_of_what_is_not_http_are_not_logged(error: Exception) -> None:
    record = logged(error)
    assert (record.getMessage(), record.levelno) == ("http.unreadable error=BadHttpMessage", logging.WARNING)
    assert "sk-secret" not in logging.Formatter().format(record)


def test_a_bug_keeps_its_traceback() -> None:
    assert "ValueError: a bug" in logging.Formatter().format(logged(ValueError("a bug")))
