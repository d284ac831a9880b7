"""`Expect: 100-continue` is kept, and any other expectation passed over, as RFC 9110 section 10.1.1 lets a server do.

aiohttp repeats such a header in a refusal, which fails where it is no text, and so would be told as a fault of ours.
"""

from typing import Any

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy

CONTINUE = "100-continue"


def pass_over_odd_expectations(server: web.Server) -> None:
    """To be called before it takes connections."""
    make = server.request_factory

    def made(message: RawRequestMessage, *rest: Any) -> web.BaseRequest:
        expected = message.headers.get("Expect")
        if expected is not None and expected.lower() != CONTINUE:
            kept = CIMultiDict(message.headers)
            kept.popall("Expect")
            message = message._replace(headers=CIMultiDictProxy(kept))
        return make(message, *rest)

    server.request_factory = made
