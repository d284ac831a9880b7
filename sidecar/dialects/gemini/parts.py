"""Parts of a request's contents ↔ canonical parts (google-genai, `Part` and the types it names)."""

import re
from collections.abc import Sequence

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
from sidecar.dialects.gemini.code import decode_code, encode_code
from sidecar.dialects.gemini.code import decode_result as decode_code_result
from sidecar.dialects.gemini.fields import Fields
from sidecar.dialects.gemini.response import call_part
from sidecar.dialects.gemini.signatures import SKIP, is_wrapped, unwrap
from sidecar.errors import CannotCarry, MalformedRequest

_OWN_KINDS = {
    "toolCall": "a call of one of Google's own tools",
    "toolResponse": "the result of one of Google's own tools",
}
_CODE = {"executableCode": decode_code, "codeExecutionResult": decode_code_result}
_CONTENT = ("text", "inlineData", "fileData", "functionCall", "functionResponse", *_CODE, *_OWN_KINDS)
_READ = frozenset({*_CONTENT, "thought", "thoughtSignature"})

_AT_GOOGLE = re.compile(r"gs://|https://generativelanguage\.googleapis\.com/|files/")
"""A file in Google's own store, which no other provider can read."""

_YOUTUBE = re.compile(r"https?://(?:www\.)?(?:youtube\.com|youtu\.be)/")

_MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "html": "text/html",
    "csv": "text/csv",
    "md": "text/markdown",
}
"""By the ending of a URL's path, where nobody says what lies there."""

_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
"""Other names of what the canonical form calls by its file's ending (IANA, media types)."""


def decode_part(part: Fields, lost: list[str]) -> AnyPart | None:
    """Anything but calls and their results, which need the conversation around them; None for an empty part.

    Raises:
        CannotCarry: content that only Gemini has a place for.
        MalformedRequest: names the field.
    """
    lost += [f"contents.parts.{name}" for name in part.names() if name not in _READ]
    signature = part.text("thoughtSignature")
    for name, what in _OWN_KINDS.items():
        if name in part:
            raise CannotCarry("server_tool", what)
    if part.flag("thought"):
        thought = unwrap(part.text("text") or "", signature)
        if signature is not None and not is_wrapped(signature):
            lost.append("contents.parts.thoughtSignature")
        is_empty = isinstance(thought, Reasoning) and not thought.text and thought.signature is None
        return None if is_empty else thought
    if signature not in (None, SKIP) and not is_wrapped(signature):
        lost.append("contents.parts.thoughtSignature")
    for name, decode in _CODE.items():
        if (raw := part.raw(name)) is not None:
            try:
                return decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise MalformedRequest(f"`{part.where}.{name}` cannot be read: {error}") from error
    if (inline := part.fields("inlineData")) is not None:
        return _inline(inline)
    if (linked := part.fields("fileData")) is not None:
        return _linked(linked)
    text = part.text("text")
    if text is None and not any(name in part for name in _CONTENT):
        raise MalformedRequest(f"`{part.where}` must hold one of {', '.join(_CONTENT)}")
    # Gemini 3 seals an answer with an empty text; empty text is no content.
    return Text(text=text) if text else None


def _inline(blob: Fields) -> Image | File | Audio:
    data, media_type = blob.text("data"), blob.text("mimeType")
    if data is None or media_type is None:
        raise MalformedRequest(f"`{blob.where}` must have `mimeType` and `data`")
    data = data.replace("-", "+").replace("_", "/")  # Google takes both alphabets of base64; others take this one
    kind, _, subtype = media_type.lower().partition(";")[0].partition("/")
    match kind:
        case "image":
            return Image(data=data, media_type=media_type)
        case "audio":
            return Audio(data=data, format=_AUDIO_FORMATS.get(subtype, subtype))
        case "video":
            raise CannotCarry("video", "a video")
        case _:
            return File(data=data, media_type=media_type, name=blob.text("displayName"))


def _linked(linked: Fields) -> Image | File:
    url, media_type = linked.text("fileUri"), linked.text("mimeType")
    if url is None:
        raise MalformedRequest(f"`{linked.where}` must have `fileUri`")
    media_type = media_type or _media_type_of(url)
    name = linked.text("displayName")
    if (media_type or "").startswith("video/") or _YOUTUBE.match(url):
        raise CannotCarry("video", "a video")
    if (media_type or "").startswith("audio/"):
        raise CannotCarry("audio", "audio named by its URL")
    if _AT_GOOGLE.match(url):
        return File(file_id=url, media_type=media_type, name=name)
    if (media_type or "").startswith("image/"):
        return Image(url=url)
    return File(url=url, media_type=media_type, name=name)


def decode_result(response: Fields, call_id: str, lost: list[str]) -> ToolResult:
    """`output` holds what a function gave and `error` why it failed; with neither, the whole object is what it gave.
    `result` alone is what Google's own SDKs write (google-genai, `FunctionResponse.response`)."""
    given = response.object("response") or {}
    lost += [f"contents.parts.functionResponse.{name}" for name in ("willContinue", "scheduling") if name in response]
    is_error = set(given) == {"error"}
    only = next(iter(given)) if len(given) == 1 else ""
    said: object = given[only] if only in ("output", "result", "error") else given
    text = said if isinstance(said, str) else msgspec.json.encode(said).decode()
    parts: list[Text | Image | File] = [Text(text=text)]
    for inner in response.each("parts"):
        part = decode_part(inner, lost)
        if not isinstance(part, Text | Image | File):
            raise CannotCarry("tool_result", "a tool's result that holds more than text, images and files")
        parts.append(part)
    if parts[1:] and not given:
        del parts[0]
    return ToolResult(call_id=call_id, parts=tuple(parts), is_error=is_error)


def encode_parts(parts: Sequence[AnyPart], names: dict[str, str], dropped: list[str]) -> list[dict[str, object]]:
    """
    Args:
        names: which function each call id of the conversation belongs to; calls among the parts are added.
        dropped: takes the names of knobs that this API has no place for.

    Raises:
        CannotCarry: a file of another provider's store, or a result without its call.
    """
    made: list[dict[str, object]] = []
    calls = 0
    for part in parts:
        if part.cache_ttl is not None:
            dropped.append("cache_control")
        match part:
            case ToolCall():
                names[part.id] = part.name
                made.append(call_part(part, is_first=calls == 0))
                calls += 1
            case ToolResult():
                made.append(_encode_result(part, names, dropped))
            case ServerCall() if part.tool == "code_execution":
                made += encode_code(part, with_id=False)
            case ServerCall():
                dropped.append("messages.server_tool_calls")
            case Reasoning() | RedactedReasoning():
                # Past thinking is signed for its own vendor, and Gemini's own never comes this way.
                dropped.append("thinking")
            case Text(text=text) | Refusal(text=text):
                if text:  # Gemini refuses empty text, and nothing is lost with it
                    made.append({"text": text})
            case _:
                made.append(_encode_media(part, dropped))
    return made


def _encode_media(part: Image | File | Audio, dropped: list[str]) -> dict[str, object]:
    match part:
        case Image(url=str(url)) | File(url=str(url)):
            if isinstance(part, File) and part.name is not None:
                dropped.append("filename")
            if isinstance(part, Image):
                _drop_detail(part, dropped)
            media_type = part.media_type or _media_type_of(url)
            named: dict[str, object] = {} if media_type is None else {"mimeType": media_type}
            return {"fileData": named | {"fileUri": url}}
        case Image():
            _drop_detail(part, dropped)
            return _blob(part.media_type or "image/png", part.data or "")
        case Audio():
            return _blob(f"audio/{part.format}", part.data)
        case File(text=str(text)):
            return {"text": f"{part.name}\n\n{text}" if part.name else text}
        case File(file_id=str()):
            raise CannotCarry("file", "a file that is stored at another provider (a file id)")
        case File():
            if part.media_type is None:
                raise CannotCarry("file", "a file whose media type is not said")
            if part.name is not None:
                dropped.append("filename")
            return _blob(part.media_type, part.data or "")


def _drop_detail(part: Image, dropped: list[str]) -> None:
    if part.detail not in (None, "auto"):
        dropped.append("messages.image_url.detail")


def _blob(media_type: str, data: str) -> dict[str, object]:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _encode_result(result: ToolResult, names: dict[str, str], dropped: list[str]) -> dict[str, object]:
    name = names.get(result.call_id)
    if name is None:
        raise CannotCarry("tool_result", "a tool's result whose call is not in the conversation")
    texts: list[str] = []
    media: list[dict[str, object]] = []
    for part in result.parts:
        if part.cache_ttl is not None:
            dropped.append("cache_control")
        if isinstance(part, Text):
            texts.append(part.text)
        elif part.url is not None:
            raise CannotCarry("tool_result", "a tool's result that names an image or a file by its URL")
        else:
            media.append(_encode_media(part, dropped))
    texts += [str(part["text"]) for part in media if "text" in part]
    media = [part for part in media if "text" not in part]
    made: dict[str, object] = {
        "id": result.call_id,
        "name": name,
        "response": {"error" if result.is_error else "output": "\n".join(texts)},
    }
    return {"functionResponse": made | {"parts": media} if media else made}


def _media_type_of(url: str) -> str | None:
    path = url.partition("?")[0].partition("#")[0]
    return _MEDIA_TYPES.get(path.rpartition("/")[2].rpartition(".")[2].lower())
