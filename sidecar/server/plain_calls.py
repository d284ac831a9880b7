"""Calls that come as plain requests, which is nearly all of them: from our own server to the pipeline and back."""

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qsl

from sidecar.core.call import PlainReply
from sidecar.http1.exchange import Exchange
from sidecar.server.asked import Asked
from sidecar.server.calls import JSON, Calls, pump, stream_headers
from sidecar.server.paths import served_at

NO_QUERY: Mapping[str, str] = {}


class PlainCalls:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def serves(self, path: str) -> bool:
        return served_at(path) is not None

    async def answer(self, exchange: Exchange) -> None:
        calls = self._calls
        task = asyncio.current_task()
        found = served_at(exchange.path)
        assert task is not None
        assert found is not None
        served, in_path = found
        query = _first_of_each(exchange.query) if exchange.query else NO_QUERY
        asked = Asked(calls.new_id(), exchange.path, query, exchange.headers, in_path if in_path.method else None)
        calls.open[task] = None
        try:
            calls.guard(exchange.headers, are_ascii=True)
            reply = await calls.reply(asked, served, exchange.body)
            if isinstance(reply, PlainReply):
                _answer(exchange, reply)
            else:
                calls.open[task] = reply
                exchange.begin(reply.status, stream_headers(reply, asked))
                await pump(reply, asked, exchange.send)
                exchange.end()
            if reply.after is not None:
                reply.after()
        except ConnectionError:
            raise
        except Exception as error:
            refusal = calls.refusal(error, asked)
            if not exchange.is_begun:  # half a stream, and not a second answer inside the first
                _answer(exchange, refusal)
        finally:
            del calls.open[task]


def _answer(exchange: Exchange, reply: PlainReply) -> None:
    exchange.answer(reply.status, {**reply.headers, "content-type": JSON}, reply.body)


def _first_of_each(query: str) -> Mapping[str, str]:
    return dict(reversed(parse_qsl(query, keep_blank_values=True)))
