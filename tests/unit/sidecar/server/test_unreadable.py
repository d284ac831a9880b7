"""What aiohttp's own log says of requests that it cannot read: one line, and none of the caller's bytes."""

import logging

import pytest
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.web import RequestPayloadError

from sidecar.server.unreadable import UnreadableRequests


@pytest.fixture
def log() -> logging.Logger:
    made = logging.Logger("edge")
    made.addFilter(UnreadableRequests())
    return made


@pytest.mark.parametrize("error", [BadHttpMessage("authorization: Bearer sk-secret"), RequestPayloadError("sk-secret")])
def test_bytes_that_are_no_http_are_named_and_not_quoted(
    log: logging.Logger, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    log.addHandler(caplog.handler)
    log.error("Error handling request sk-secret", exc_info=error)
    [record] = caplog.records
    assert record.getMessage() == f"http.unreadable error={type(error).__name__}"
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)


def test_a_bug_of_ours_keeps_its_traceback(log: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    log.addHandler(caplog.handler)
    log.error("Error handling request", exc_info=ValueError("ours"))
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info
