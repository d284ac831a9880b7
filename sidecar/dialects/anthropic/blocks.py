"""Content blocks of the Messages API ↔ canonical parts, for requests and answers alike (anthropic SDK, types
`*_block_param` and `*_block`).
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from sidecar.canonical.request import (
    AnyPart,
    Citation,
    File,
    Image,
    Reasoning,
    RedactedReasoning,
    Refusal,
    ServerCall,
    Text,
    ToolCall,
    ToolResult,
)
from sidecar.dialects.anthropic.server_tools import (
    CALLED,
    RESULTS,
    decode_citations,
    decode_input,
    decode_result,
)
from sidecar.dialects.signatures import responses_item
from sidecar.errors import CannotCarry

DEFAULT_TTL = "5m"
"""What a cache mark without a `ttl` means (anthropic SDK, CacheControlEphemeralParam)."""

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""anthropic SDK, Base64ImageSourceParam."""

MALFORMED_ARGUMENTS = "malformed_arguments"
"""`tool_use.input` must be an object: arguments that are none are carried as the text in this field, so that the model
sees what it wrote."""

ABSENT = msgspec.Raw()
"""A field that is not there. (msgspec reads no `Raw | None`.)"""

_T = TypeVar("_T")


class BadBlock(ValueError):
    """Not a block of this API; the text says where and why."""


class UnknownBlock(BadBlock):
    """A kind of block that the canonical form has no part for."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"a content block of type {kind!r}")
        self.kind = kind


class CacheControl(msgspec.Struct, frozen=True, tag_field="type", tag="ephemeral", omit_defaults=True):
    ttl: str | None = None


class Block(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    cache_control: CacheControl | None = None


class Base64Source(msgspec.Struct, frozen=True, tag_field="type", tag="base64"):
    media_type: str
    data: str


class UrlSource(msgspec.Struct, frozen=True, tag_field="type", tag="url"):
    url: str


class FileSource(msgspec.Struct, frozen=True, tag_field="type", tag="file"):
    file_id: str


class TextSource(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    media_type: str
    data: str


class ContentSource(msgspec.Struct, frozen=True, tag_field="type", tag="content"):
    content: msgspec.Raw


class TextBlock(Block, frozen=True, tag="text"):
    text: str
    citations: msgspec.Raw = ABSENT


class ImageBlock(Block, frozen=True, tag="image"):
    source: Base64Source | UrlSource | FileSource
    transformations: msgspec.Raw = ABSENT


class Citations(msgspec.Struct, frozen=True):
    enabled: bool = False


class DocumentBlock(Block, frozen=True, tag="document"):
    source: Base64Source | UrlSource | FileSource | TextSource | ContentSource
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None


class Caller(msgspec.Struct, frozen=True):
    type: str = "direct"


class ToolUseBlock(Block, frozen=True, tag="tool_use"):
    id: str
    name: str
    input: msgspec.Raw
    caller: Caller | None = None
    toolset_name: str | None = None


class ToolResultBlock(Block, frozen=True, tag="tool_result"):
    tool_use_id: str
    content: msgspec.Raw = ABSENT
    is_error: bool = False
    toolset_name: str | None = None


class _ServerToolUse(msgspec.Struct, frozen=True):
    id: str
    name: str
    input: msgspec.Raw


class _ServerResult(msgspec.Struct, frozen=True):
    """Of any of Anthropic's own tools."""

    type: str
    tool_use_id: str
    content: msgspec.Raw


class ThinkingBlock(Block, frozen=True, tag="thinking"):
    thinking: str
    signature: str | msgspec.UnsetType = msgspec.UNSET
    """The API always signs; servers that speak its dialect may not."""


class RedactedThinkingBlock(Block, frozen=True, tag="redacted_thinking"):
    data: str


def is_given(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:5]) not in (b"", b"null")


class _Kind(msgspec.Struct, frozen=True):
    type: str


def parse(decoder: msgspec.json.Decoder[_T], raw: bytes | msgspec.Raw, where: str = "") -> _T:
    """Raises BadBlock, naming `where`, on anything that is not what the decoder reads."""
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBlock(f"{where}: {error}" if where else str(error)) from error


_BLOCKS = msgspec.json.Decoder(list[msgspec.Raw])
_KIND = msgspec.json.Decoder(_Kind)
_STRING = msgspec.json.Decoder(str)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_content(raw: msgspec.Raw, where: str, lost: list[str]) -> tuple[AnyPart, ...]:
    """A string, or a list of blocks. Empty text is no content: the API itself refuses it in a request.

    Args:
        where: the path of the content in its document, for messages.
        lost: takes the names of knobs that the canonical form has no place for.

    Raises:
        BadBlock: not blocks of this API; UnknownBlock for a kind without a canonical part.
        CannotCarry: a known block with content that no other dialect has a place for.
    """
    if bytes(memoryview(raw)[:1]) == b'"':
        text = parse(_STRING, raw, where)
        return (Text(text=text),) if text else ()
    blocks = parse(_BLOCKS, raw, where)
    parts = [decode_block(block, f"{where}[{place}]", lost) for place, block in enumerate(blocks)]
    return tuple(_paired(part for part in parts if not (isinstance(part, Text) and not part.text)))


def _paired(parts: Iterable[AnyPart]) -> list[AnyPart]:
    """What one of Anthropic's own tools was asked and what it gave are two blocks, and one part here."""
    paired: list[AnyPart] = []
    asked: dict[str, int] = {}
    for part in parts:
        at = asked.get(part.id) if isinstance(part, ServerCall) else None
        if at is not None and isinstance(part, ServerCall):
            call = paired[at]
            paired[at] = msgspec.structs.replace(part, input=call.input if isinstance(call, ServerCall) else "")
            continue
        if isinstance(part, ServerCall):
            asked[part.id] = len(paired)
        paired.append(part)
    return paired


def decode_block(raw: msgspec.Raw, where: str, lost: list[str]) -> AnyPart:
    kind = parse(_KIND, raw, where).type
    reader = _READERS.get(kind)
    if reader is None:
        raise UnknownBlock(kind)
    return reader(raw, where, lost)


def _text(raw: msgspec.Raw, where: str, lost: list[str]) -> AnyPart:
    block = parse(_TEXT, raw, where)
    citations: tuple[Citation, ...] = ()
    if is_given(block.citations) and bytes(block.citations) != b"[]":
        citations = _read(decode_citations, block.citations, f"{where}.citations")
        if not citations:
            lost.append("messages.citations")
    return Text(text=block.text, citations=citations, cache_ttl=_ttl(block))


def _image(raw: msgspec.Raw, where: str, lost: list[str]) -> AnyPart:
    block = parse(_IMAGE, raw, where)
    if is_given(block.transformations):
        lost.append("messages.transformations")
    match block.source:
        case Base64Source(media_type, data):
            return Image(data=data, media_type=media_type, cache_ttl=_ttl(block))
        case UrlSource(url):
            return Image(url=url, cache_ttl=_ttl(block))
        case FileSource():
            raise CannotCarry("image", "an image that is stored at Anthropic (a file id)")


def _document(raw: msgspec.Raw, where: str, lost: list[str]) -> AnyPart:
    block = parse(_DOCUMENT, raw, where)
    if block.context is not None:
        raise CannotCarry("file", "a document's context")
    if block.citations is not None and block.citations.enabled:
        lost.append("messages.citations")
    match block.source:
        case Base64Source(media_type, data):
            return File(data=data, media_type=media_type, name=block.title, cache_ttl=_ttl(block))
        case UrlSource(url):
            return File(url=url, name=block.title, cache_ttl=_ttl(block))
        case FileSource(file_id):
            return File(file_id=file_id, name=block.title, cache_ttl=_ttl(block))
        case TextSource(media_type, data):
            return File(text=data, media_type=media_type, name=block.title, cache_ttl=_ttl(block))
        case ContentSource():
            raise CannotCarry("file", "a document made of content blocks")


def _tool_use(raw: msgspec.Raw, where: str, lost: list[str]) -> AnyPart:
    block = parse(_TOOL_USE, raw, where)
    if block.toolset_name is not None or (block.caller is not None and block.caller.type != "direct"):
        raise CannotCarry("server_tool", "a tool call that was made by one of Anthropic's own tools")
    parse(_OBJECT, block.input, f"{where}.input")
    arguments = _read(lambda given: bytes(given).decode(), block.input, f"{where}.input")
    return ToolCall(id=block.id, name=block.name, arguments=arguments, cache_ttl=_ttl(block))


def _tool_result(raw: msgspec.Raw, where: str, lost: list[str]) -> AnyPart:
    block = parse(_TOOL_RESULT, raw, where)
    if block.toolset_name is not None:
        raise CannotCarry("server_tool", "the result of one of Anthropic's own tools")
    parts: list[Text | Image | File] = []
    for part in decode_content(block.content, f"{where}.content", lost) if is_given(block.content) else ():
        if not isinstance(part, Text | Image | File):
            raise BadBlock(f"{where}.content: a tool result holds text, images and documents only")
        parts.append(part)
    return ToolResult(call_id=block.tool_use_id, parts=tuple(parts), is_error=block.is_error, cache_ttl=_ttl(block))


def _server_tool_use(raw: msgspec.Raw, where: str, lost: list[str]) -> AnyPart:
    block = parse(_SERVER_TOOL_USE, raw, where)
    if block.name not in CALLED:
        raise UnknownBlock(f"server_tool_use ({block.name})")
    return _read(lambda given: decode_input(block.id, block.name, given), block.input, f"{where}.input")


def _server_tool_result(raw: msgspec.Raw, where: str, lost: list[str]) -> AnyPart:
    block = parse(_SERVER_RESULT, raw, where)
    call = ServerCall(id=block.tool_use_id, tool=RESULTS[block.type], input="")
    return _read(lambda given: decode_result(call, given), block.content, f"{where}.content")


def _read(reader: Callable[[msgspec.Raw], _T], raw: msgspec.Raw, where: str) -> _T:
    try:
        return reader(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBlock(f"{where}: {error}") from error


def _thinking(raw: msgspec.Raw, where: str, lost: list[str]) -> AnyPart:
    block = parse(_THINKING, raw, where)
    return Reasoning(text=block.thinking, signature=block.signature or None)


def _redacted(raw: msgspec.Raw, where: str, lost: list[str]) -> AnyPart:
    return RedactedReasoning(data=parse(_REDACTED, raw, where).data)


_TEXT = msgspec.json.Decoder(TextBlock)
_IMAGE = msgspec.json.Decoder(ImageBlock)
_DOCUMENT = msgspec.json.Decoder(DocumentBlock)
_TOOL_USE = msgspec.json.Decoder(ToolUseBlock)
_TOOL_RESULT = msgspec.json.Decoder(ToolResultBlock)
_SERVER_TOOL_USE = msgspec.json.Decoder(_ServerToolUse)
_SERVER_RESULT = msgspec.json.Decoder(_ServerResult)
_THINKING = msgspec.json.Decoder(ThinkingBlock)
_REDACTED = msgspec.json.Decoder(RedactedThinkingBlock)

_READERS: dict[str, Callable[[msgspec.Raw, str, list[str]], AnyPart]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "server_tool_use": _server_tool_use,
    **dict.fromkeys(RESULTS, _server_tool_result),
    "thinking": _thinking,
    "redacted_thinking": _redacted,
}


def encode_parts(parts: Sequence[AnyPart], dropped: list[str]) -> list[Block]:
    """Blocks in the order of the parts.

    Args:
        dropped: takes the names of knobs that this API has no place for.

    Raises:
        CannotCarry: audio, or an image or file of a kind that this API does not read.
    """
    return [block for part in parts if (block := encode_part(part, dropped)) is not None]


def encode_part(part: AnyPart, dropped: list[str]) -> Block | None:
    mark = _mark(part.cache_ttl)
    match part:
        case Text(text=text) | Refusal(text=text):
            # The API refuses empty text, and nothing is lost with it.
            return TextBlock(text=text, cache_control=mark) if text else None
        case Image():
            return _image_block(part, mark, dropped)
        case File():
            return _document_block(part, mark)
        case ToolCall():
            return ToolUseBlock(id=part.id, name=part.name, input=_input(part.arguments), cache_control=mark)
        case ToolResult():
            content = encode_content(encode_parts(part.parts, dropped))
            return ToolResultBlock(
                tool_use_id=part.call_id,
                content=msgspec.Raw(msgspec.json.encode(content)),
                is_error=part.is_error,
                cache_control=mark,
            )
        case ServerCall():
            # What a search found must come back as Anthropic sealed it, and in another dialect the seal is lost.
            dropped.append("messages.server_tool_calls")
            return None
        case Reasoning(signature=signature) if signature is None or responses_item(signature) is not None:
            # A thinking block must come back as it was signed; without a signature, or with another vendor's, the API
            # refuses the request.
            dropped.append("messages.reasoning")
            return None
        case Reasoning(text=text, signature=signature):
            return ThinkingBlock(thinking=text, signature=signature or "")
        case RedactedReasoning(data=data):
            return RedactedThinkingBlock(data=data)
        case _:
            raise CannotCarry("audio", "audio")


def encode_content(blocks: Sequence[Block]) -> str | Sequence[Block]:
    """One plain text is a string, which the API reads as one text block."""
    match blocks:
        case [TextBlock(text=text, cache_control=None)]:
            return text
        case _:
            return blocks


def _image_block(part: Image, mark: CacheControl | None, dropped: list[str]) -> Block:
    if part.detail not in (None, "auto"):
        dropped.append("messages.image_url.detail")
    if part.url is not None:
        return ImageBlock(source=UrlSource(part.url), cache_control=mark)
    if part.media_type not in IMAGE_TYPES:
        raise CannotCarry("image", f"an image of type {part.media_type}")
    return ImageBlock(source=Base64Source(part.media_type, part.data or ""), cache_control=mark)


def _document_block(part: File, mark: CacheControl | None) -> Block:
    source: Base64Source | UrlSource | FileSource | TextSource
    if part.url is not None:
        source = UrlSource(part.url)
    elif part.file_id is not None:
        # An id names a file in one provider's store. One that came in this dialect passes through and is never encoded.
        raise CannotCarry("file", "a file that is stored at another provider (a file id)")
    elif part.text is not None:
        source = TextSource("text/plain", part.text)
    elif part.media_type == "application/pdf":
        source = Base64Source(part.media_type, part.data or "")
    elif part.media_type == "text/plain":
        source = TextSource(part.media_type, _plain_text(part.data or ""))
    else:
        raise CannotCarry("file", f"a file of type {part.media_type}")
    return DocumentBlock(source=source, title=part.name, cache_control=mark)


def _plain_text(data: str) -> str:
    """This API takes plain text as it is, and not in base64."""
    try:
        return base64.b64decode(data, validate=True).decode()
    except ValueError as error:
        raise CannotCarry("file", "a text file that is not UTF-8 in base64") from error


def _input(arguments: str) -> msgspec.Raw:
    if not arguments.strip():
        return msgspec.Raw(b"{}")
    try:
        _OBJECT.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return msgspec.Raw(msgspec.json.encode({MALFORMED_ARGUMENTS: arguments}))
    return msgspec.Raw(arguments.encode())


def _mark(ttl: str | None) -> CacheControl | None:
    if ttl is None:
        return None
    return CacheControl(None if ttl == DEFAULT_TTL else ttl)


def _ttl(block: Block) -> str | None:
    return None if block.cache_control is None else block.cache_control.ttl or DEFAULT_TTL
