"""How many tokens a request is: the provider's own count where the first target speaks the caller's dialect, else ours.

Nothing is generated and nothing is billed, so nothing is booked (decision 5).
"""

import asyncio
from collections.abc import Mapping

from sidecar.core.bookkeeping import headers_of
from sidecar.core.call import Inbound, PlainReply
from sidecar.core.pipeline import Pipeline
from sidecar.dialects.counting import Counting
from sidecar.errors import FirstTokenTimeout, Rejected, UpstreamError, code_of
from sidecar.ports import Upstream
from sidecar.routing.snapshot import Target, UseCase


class TokenCounter:
    def __init__(self, pipeline: Pipeline, upstream: Upstream) -> None:
        self._pipeline = pipeline
        self._upstream = upstream

    async def count(self, inbound: Inbound, counting: Counting) -> PlainReply:
        """`inbound.dialect` is the counting's own.

        Raises:
            CallerError: the request is malformed, or of no use case.
            Rejected: the provider finds fault with the request.
        """
        call = self._pipeline.open(inbound)
        planned = call.plan.steps[0] if call.plan.steps else None
        call.reason = planned.reason if planned else "estimated"
        headers = headers_of(call, planned, 0)
        if planned is not None and planned.target.dialect == inbound.dialect.name:
            try:
                body = inbound.dialect.forward(call.envelope, planned.target.name)
                counted = await self._counted(inbound, call.plan.use_case, planned.target, body)
                return PlainReply(200, headers | {"x-pointsman-attempts": "1"}, counted)
            except Rejected:
                raise
            except UpstreamError as error:
                headers |= {"x-pointsman-attempts": "1", "x-pointsman-reason": code_of(error)}
        return PlainReply(200, {**headers, **ESTIMATED}, counting.encode(call.envelope.input_tokens))

    async def _counted(self, inbound: Inbound, use_case: UseCase, target: Target, body: bytes) -> bytes:
        """The provider's answer as it came. An estimate is at hand, so the wait is that for a first token."""
        answer = None
        patience = min(use_case.timeouts.first_token, use_case.timeouts.deadline)
        try:
            async with asyncio.timeout(patience):
                answer = await self._upstream.send(
                    target,
                    inbound.dialect.path(target.name, False),
                    inbound.headers_to(target, 0),
                    body,
                    use_case.timeouts.connect,
                )
                said = await answer.read()
        except TimeoutError as error:
            raise FirstTokenTimeout(f"no count from {target.key} within {patience:g} s") from error
        finally:
            if answer is not None:
                answer.close()
        if answer.status >= 300:
            raise inbound.dialect.decode_error(answer.status, answer.headers, said)
        return said


ESTIMATED: Mapping[str, str] = {"x-pointsman-estimated": "true"}
"""The count is the sidecar's own, made without a tokenizer."""
