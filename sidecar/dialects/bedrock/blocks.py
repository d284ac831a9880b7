"""Canonical parts → content blocks of a Converse request (botocore's service model, `ContentBlock`). A block is an
object of one field, which names its kind; a cache mark is a block of its own, after what it marks.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Literal

import msgspec

from sidecar.canonical.request import (
    AnyPart,
    Audio,
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
from sidecar.dialects.signatures import responses_item
from sidecar.errors import CannotCarry

DEFAULT_TTL = "5m"
"""How long a cache point without a `ttl` lasts (docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching)."""

IMAGE_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_IMAGE_ENDINGS = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "gif": "gif", "webp": "webp"}
_DOCUMENT_ENDINGS = {ending: ending for ending in DOCUMENT_FORMATS.values()}

AUDIO_FORMATS = frozenset(
    {
        "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm",
    }
)  # fmt: skip

MALFORMED_ARGUMENTS = "malformed_arguments"
"""`toolUse.input` must be an object: arguments that are none are carried as the text in this field, so that the model
sees what it wrote."""

_CALL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9\s\-()\[\]]")
_SPACES = re.compile(r"\s+")
MAX_NAME_CHARACTERS = 200
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Wire(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    pass


class CachePoint(Wire, frozen=True):
    ttl: str | None = None
    type: str = msgspec.field(default_factory=lambda: "default")
    """A factory, as a plain default would be omitted."""


class S3Location(Wire, frozen=True):
    uri: str


class Source(Wire, frozen=True):
    """Exactly one of the three."""

    bytes: str | None = None
    """Base64."""
    text: str | None = None
    s3_location: S3Location | None = msgspec.field(name="s3Location", default=None)


class Media(Wire, frozen=True):
    """An image or a sound."""

    format: str
    source: Source


class Document(Wire, frozen=True):
    name: str
    source: Source
    format: str


class ToolUse(Wire, frozen=True):
    tool_use_id: str
    name: str
    input: msgspec.Raw


class ToolResultBlock(Wire, frozen=True):
    tool_use_id: str
    content: Sequence["Block"]
    status: str | None = None


class ReasoningText(Wire, frozen=True):
    text: str
    signature: str


class ReasoningContent(Wire, frozen=True):
    """Exactly one of the two."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None
    """Base64."""


class Block(Wire, frozen=True, kw_only=True):
    """A union by name: exactly one field stands in it."""

    text: str | None = None
    image: Media | None = None
    audio: Media | None = None
    document: Document | None = None
    tool_use: ToolUse | None = None
    tool_result: ToolResultBlock | None = None
    reasoning_content: ReasoningContent | None = None
    cache_point: CachePoint | None = None


class Notes:
    """What is noted while one request is written: knobs that were left out, and names that documents bear so far."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self.document_names: set[str] = set()


def encode_parts(parts: Sequence[AnyPart], notes: Notes) -> list[Block]:
    """Blocks in the order of the parts.

    Raises:
        CannotCarry: media named by a URL or an id, or of a kind that Converse does not read.
    """
    blocks: list[Block] = []
    for part in parts:
        block = encode_part(part, notes)
        if block is not None:
            blocks.append(block)
            blocks += cache_point(part.cache_ttl)
    return blocks


def cache_point(ttl: str | None) -> list[Block]:
    """None where there is no mark."""
    return [] if ttl is None else [Block(cache_point=CachePoint(ttl=None if ttl == DEFAULT_TTL else ttl))]


def encode_part(part: AnyPart, notes: Notes) -> Block | None:
    match part:
        case Text(text=text) | Refusal(text=text):
            # Empty text is refused, and nothing is lost with it.
            return Block(text=text) if text else None
        case Image():
            return _image(part, notes)
        case File():
            return _document(part, notes)
        case Audio(data=data, format=format_):
            if format_ not in AUDIO_FORMATS:
                raise CannotCarry("audio", f"a sound of the format {format_}")
            return Block(audio=Media(format_, Source(bytes=data)))
        case ToolCall(id=id_, name=name, arguments=arguments):
            return Block(tool_use=ToolUse(call_id(id_), tool_name(name), _input(arguments)))
        case ToolResult():
            return _tool_result(part, notes)
        case ServerCall():
            notes.dropped.append("messages.server_tool_calls")
            return None
        case Reasoning() | RedactedReasoning():
            return _reasoning(part, notes)


def call_id(id_: str) -> str:
    """The id, or one made from it where Converse would refuse it: the same for a call and its result."""
    return id_ if _CALL_ID.fullmatch(id_) else f"call_{sha256(id_.encode()).hexdigest()[:32]}"


def tool_name(name: str) -> str:
    """Raises CannotCarry: a name is what the caller knows its function by, so it is not ours to change."""
    if not _TOOL_NAME.fullmatch(name):
        raise CannotCarry(
            "tool", "a tool whose name is longer than 64 characters or more than letters, digits, _ and -"
        )
    return name


def _image(part: Image, notes: Notes) -> Block:
    if part.detail not in (None, "auto"):
        notes.dropped.append("messages.image_url.detail")
    if part.data is None:
        return Block(image=_in_s3(part.url or "", _IMAGE_ENDINGS, "image"))
    if part.media_type not in IMAGE_FORMATS:
        raise CannotCarry("image", f"an image of type {part.media_type}")
    return Block(image=Media(IMAGE_FORMATS[part.media_type], Source(bytes=part.data)))


def _document(part: File, notes: Notes) -> Block:
    if part.text is not None:
        return Block(document=Document(_document_name(part.name, notes), Source(text=part.text), "txt"))
    if part.data is None:
        stored = _in_s3(part.url or "", _DOCUMENT_ENDINGS, "file")
        return Block(document=Document(_document_name(part.name, notes), stored.source, stored.format))
    if part.media_type not in DOCUMENT_FORMATS:
        raise CannotCarry("file", f"a file of type {part.media_type}")
    format_ = DOCUMENT_FORMATS[part.media_type]
    return Block(document=Document(_document_name(part.name, notes), Source(bytes=part.data), format_))


def _in_s3(url: str, endings: Mapping[str, str], kind: Literal["image", "file"]) -> Media:
    """Converse fetches from S3 and from nowhere else, and wants to be told what lies there.

    Raises:
        CannotCarry: any other URL, or an ending that does not tell.
    """
    format_ = endings.get(url.rpartition(".")[2].lower())
    if not url.startswith("s3://") or format_ is None:
        raise CannotCarry(kind, f"{'an image' if kind == 'image' else 'a file'} that is named by its URL or an id")
    return Media(format_, Source(s3_location=S3Location(url)))


def _document_name(name: str | None, notes: Notes) -> str:
    """Every document has a name here, made of few characters; those that bear the same one are counted."""
    plain = _SPACES.sub(" ", _NOT_IN_A_NAME.sub("-", name or "")).strip()[: MAX_NAME_CHARACTERS - 8] or "document"
    unique, count = plain, 1
    while unique in notes.document_names:
        count += 1
        unique = f"{plain} {count}"
    notes.document_names.add(unique)
    return unique


def _tool_result(part: ToolResult, notes: Notes) -> Block:
    if any(inner.cache_ttl is not None for inner in part.parts):
        notes.dropped.append("cache_control")  # a result's content takes no cache point; after the result one may stand
    content = [block for inner in part.parts if (block := encode_part(inner, notes)) is not None]
    status = "error" if part.is_error else None
    return Block(tool_result=ToolResultBlock(call_id(part.call_id), content, status))


def _reasoning(part: Reasoning | RedactedReasoning, notes: Notes) -> Block | None:
    """Reasoning goes back as it was signed, or not at all: unsigned, or with another vendor's mark, it is refused."""
    if isinstance(part, RedactedReasoning):
        if _is_base64(part.data):
            return Block(reasoning_content=ReasoningContent(redacted_content=part.data))
    elif part.signature and responses_item(part.signature) is None:
        return Block(reasoning_content=ReasoningContent(ReasoningText(part.text, part.signature)))
    notes.dropped.append("messages.reasoning")
    return None


def _is_base64(data: str) -> bool:
    try:
        return bool(base64.b64decode(data, validate=True))
    except ValueError:
        return False


def _input(arguments: str) -> msgspec.Raw:
    try:
        _OBJECT.decode(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        carried = {} if not arguments.strip() else {MALFORMED_ARGUMENTS: arguments}
        return msgspec.Raw(msgspec.json.encode(carried))
    return msgspec.Raw(arguments.encode())
