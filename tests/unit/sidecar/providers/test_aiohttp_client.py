"""Which network failure of aiohttp's is which of our errors, and that no message shows a URL or a key."""

import aiohttp
import pytest

from sidecar.errors import ConnectionLost, Unreachable, UpstreamError
from sidecar.providers.aiohttp_client import failure_of


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (aiohttp.ServerDisconnectedError(), ConnectionLost),
        (aiohttp.ClientOSError(104, "Connection reset by peer"), ConnectionLost),
        (ConnectionResetError(104, "Connection reset by peer"), ConnectionLost),
        (aiohttp.ConnectionTimeoutError("http://u:secret@host/?key=secret"), Unreachable),
        (aiohttp.InvalidURL("http://u:secret@host/?key=secret"), Unreachable),
        (UnicodeError("secret"), Unreachable),
        (ValueError("Newline in header secret"), Unreachable),
    ],
)
def test_a_network_failure_is_one_of_ours_and_says_no_more_than_it_may(
    error: Exception, kind: type[UpstreamError]
) -> None:
    failure = failure_of(error, "one")
    assert type(failure) is kind
    assert "one" in failure.message
    assert "secret" not in failure.message
