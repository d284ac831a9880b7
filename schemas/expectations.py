"""`Expect: 100-continue` is kept, and any other expectation passed over, as RFC 9110 section 10.1.1 lets a server do.

aiohttp repeats such a header in a refusal, which fails where it is no text, and so would be told as a fault of ours.
"""

from typing import Any

CONTINUE = "100-continue"


def pass_over_odd_expectations(server: Any) -> None:
    """To be called before it takes connections. `server`: an `aiohttp.web.Server`."""
    make = server.request_factory

    def made(message: Any, *rest: Any) -> Any:
        expected = message.headers.get("Expect")
        if expected is not None and expected.lower() != CONTINUE:
            kept = message.headers.copy()
            kept.popall("Expect")
            message = message._replace(headers=kept)
        return make(message, *rest)

    server.request_factory = made
