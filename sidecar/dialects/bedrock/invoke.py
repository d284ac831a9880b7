"""Bedrock's InvokeModel for Claude: Anthropic's bodies, and its events inside AWS' frames
(docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages; anthropic SDK, `lib/bedrock`).
"""

from base64 import b64encode
from collections.abc import Mapping

import msgspec

from sidecar.dialects.bedrock.errors import decode_error, stream_exception
from sidecar.dialects.bedrock.eventstream import BadFrame, Frame, FrameDecoder
from sidecar.errors import MalformedAnswer, ModelGone, Rejected, UpstreamError
from sidecar.sse import encode_event


class _Chunk(msgspec.Struct, frozen=True):
    bytes: bytes
    """Base64 in JSON."""


class _Event(msgspec.Struct, frozen=True):
    type: str = ""


class _Count(msgspec.Struct, frozen=True, rename="camel"):
    input_tokens: int


_CHUNK = msgspec.json.Decoder(_Chunk)
_EVENT = msgspec.json.Decoder(_Event)
_COUNT = msgspec.json.Decoder(_Count)


class InvokeStream:
    """Frames to the server-sent events that Anthropic's own API would have sent. Holds one unfinished frame."""

    def __init__(self) -> None:
        self.failed: UpstreamError | None = None
        """An exception among the frames, or bytes that are none. What came before it has been returned."""
        self._frames = FrameDecoder()

    def feed(self, data: bytes) -> bytes:
        """Whole events so far; empty where none is whole yet."""
        events: list[bytes] = []
        try:
            for frame in self._frames.feed(data):
                events.append(_event_of(frame))
        except BadFrame as error:
            self.failed = MalformedAnswer(f"the provider's answer is not an event stream: {error}")
        except UpstreamError as error:
            self.failed = error
        return b"".join(events)


def _event_of(frame: Frame) -> bytes:
    message_type = frame.text(":message-type")
    if message_type == "exception":
        raise stream_exception(frame.text(":exception-type"), frame.payload)
    if message_type == "error":
        raise stream_exception(frame.text(":error-code"), b"")
    if frame.text(":event-type") != "chunk":
        return b""  # a kind that was added later says nothing to us
    try:
        data = _CHUNK.decode(frame.payload).bytes
        kind = _EVENT.decode(data).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer(f"an event of the provider's stream cannot be read: {error}") from error
    return encode_event(data, kind) if kind else b""


def count_request(body: bytes) -> bytes:
    """CountTokens takes the body that InvokeModel would get (botocore's service model, `InvokeModelTokensRequest`)."""
    return msgspec.json.encode({"input": {"invokeModel": {"body": b64encode(body).decode()}}})


def count_answer(body: bytes) -> bytes:
    """Raises MalformedAnswer."""
    try:
        return msgspec.json.encode({"input_tokens": _COUNT.decode(body).input_tokens})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer(f"the provider's count cannot be read: {error}") from error


def decode_count_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """Inference profiles and some models cannot be counted, which says nothing against the request
    (docs.aws.amazon.com/bedrock/latest/userguide/count-tokens)."""
    error = decode_error(status, headers, body)
    if isinstance(error, Rejected) and "support counting tokens" in error.message:
        return ModelGone(error.message, upstream_status=status)
    return error
