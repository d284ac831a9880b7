"""Claude at Bedrock's InvokeModel: Anthropic's dialect by AWS' paths, frames and refusals."""

from collections.abc import Callable, Mapping
from urllib.parse import quote

import msgspec

from sidecar.dialects.bedrock.errors import decode_error
from sidecar.dialects.bedrock.invoke import InvokeStream, count_answer, count_request, decode_count_error
from sidecar.errors import UpstreamError
from sidecar.ports import UpstreamAnswer
from sidecar.providers.placed import Placed, hosted_anthropic
from sidecar.routing.snapshot import Target

ANTHROPIC_VERSION = "bedrock-2023-05-31"
"""In the body (docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages)."""

_COUNT_TOKENS = "/v1/messages/count_tokens"
_ONE_TOKEN = msgspec.Raw(b"1")

DecodeError = Callable[[int, Mapping[str, str], bytes], UpstreamError]


def invoke(target: Target, path: str, headers: Mapping[str, str], body: bytes) -> Placed:
    fields, shown = hosted_anthropic(headers, body, ANTHROPIC_VERSION)
    wants_stream = bytes(fields.pop("stream", msgspec.Raw())) == b"true"
    betas = shown.pop("anthropic-beta", "")
    if betas:
        named = [beta.strip() for beta in betas.split(",")]
        fields.setdefault("anthropic_beta", msgspec.Raw(msgspec.json.encode(named)))
    model = f"/model/{quote(target.name, safe=':')}"
    if path == _COUNT_TOKENS:
        # InvokeModel's body must name it, and a count does not depend on it.
        whole = msgspec.json.encode({"max_tokens": _ONE_TOKEN, **fields})
        return Placed(f"{model}/count-tokens", shown, count_request(whole), CountAnswer)
    method = "invoke-with-response-stream" if wants_stream else "invoke"
    return Placed(f"{model}/{method}", shown, msgspec.json.encode(fields), InvokeAnswer)


class InvokeAnswer:
    """AWS' answer as Anthropic's own API would have given it. A refusal is raised when it is read: in AWS' words it
    would mean nothing to the dialect."""

    _decode_error: DecodeError = staticmethod(decode_error)

    def __init__(self, answer: UpstreamAnswer) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self._stream = InvokeStream()

    async def read(self) -> bytes:
        body = await self._answer.read()
        if self.status >= 300:
            raise self._decode_error(self.status, self.headers, body)
        return body

    async def chunk(self) -> bytes:
        while True:
            if self._stream.failed is not None:
                raise self._stream.failed
            data = await self._answer.chunk()
            events = self._stream.feed(data)
            if events or not data:
                return events

    def fail(self, error: Exception) -> None:
        self._answer.fail(error)

    def close(self) -> None:
        self._answer.close()


class CountAnswer(InvokeAnswer):
    _decode_error: DecodeError = staticmethod(decode_count_error)

    async def read(self) -> bytes:
        return count_answer(await super().read())
