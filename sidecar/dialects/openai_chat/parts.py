"""Parts of a message ↔ canonical parts (openai SDK, `chat_completion_content_part_param`)."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from sidecar.canonical.request import (
    AnyPart,
    Audio,
    File,
    Image,
    Refusal,
    Text,
)
from sidecar.dialects.data_url import data_url, split_data_url
from sidecar.dialects.kinds import kind_of
from sidecar.errors import CannotCarry, MalformedRequest


class _ImageUrl(msgspec.Struct):
    url: str
    detail: str | None = None


class _InputAudio(msgspec.Struct):
    data: str
    format: str


class _File(msgspec.Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class CacheMark(msgspec.Struct):
    ttl: str | None = None


class Part(msgspec.Struct):
    type: str
    text: str | None = None
    image_url: _ImageUrl | None = None
    input_audio: _InputAudio | None = None
    file: _File | None = None
    refusal: str | None = None
    prompt_cache_breakpoint: CacheMark | None = None
    cache_control: CacheMark | None = None
    """Anthropic's mark, as gateways let it through on a chat part."""


def decode_content(content: str | list[Part] | None, where: str) -> Iterator[AnyPart]:
    if isinstance(content, str):
        yield Text(text=content)
        return
    for at, part in enumerate(content or ()):
        decode = _PARTS.get(part.type)
        if decode is None:
            raise MalformedRequest(f"`{where}.content[{at}].type` must be one of {', '.join(_PARTS)}")
        decoded = decode(part)
        if decoded is None:
            raise MalformedRequest(f"`{where}.content[{at}].{part.type}` is missing or cannot be read")
        yield decoded


def cache_ttl(breakpoint_: CacheMark | None, control: CacheMark | None) -> str | None:
    """OpenAI's marks live for 30 minutes or 12 hours, which the canonical `1h` comes nearest to."""
    if control is not None:
        return control.ttl or "5m"
    if breakpoint_ is not None:
        return "1h" if breakpoint_.ttl else "5m"
    return None


def _ttl(part: Part) -> str | None:
    return cache_ttl(part.prompt_cache_breakpoint, part.cache_control)


def _decode_text(part: Part) -> Text | None:
    return None if part.text is None else Text(text=part.text, cache_ttl=_ttl(part))


def _decode_refusal(part: Part) -> Refusal | None:
    return None if part.refusal is None else Refusal(text=part.refusal, cache_ttl=_ttl(part))


def _decode_image(part: Part) -> Image | None:
    if part.image_url is None:
        return None
    url, detail = part.image_url.url, part.image_url.detail
    if not url.startswith("data:"):
        return Image(url=url, detail=detail, cache_ttl=_ttl(part))
    inline = split_data_url(url)
    return inline and Image(data=inline[1], media_type=inline[0], detail=detail, cache_ttl=_ttl(part))


def _decode_audio(part: Part) -> Audio | None:
    audio = part.input_audio
    return None if audio is None else Audio(data=audio.data, format=audio.format, cache_ttl=_ttl(part))


def _decode_file(part: Part) -> File | None:
    file = part.file
    if file is None or (file.file_id is None) == (file.file_data is None):
        return None
    if file.file_data is None:
        return File(file_id=file.file_id, name=file.filename, cache_ttl=_ttl(part))
    media_type, data = None, file.file_data
    if data.startswith("data:"):
        inline = split_data_url(data)
        if inline is None:
            return None
        media_type, data = inline
    return File(data=data, media_type=media_type, name=file.filename, cache_ttl=_ttl(part))


_PARTS: Mapping[str, Callable[[Part], AnyPart | None]] = {
    "text": _decode_text,
    "image_url": _decode_image,
    "input_audio": _decode_audio,
    "file": _decode_file,
    "refusal": _decode_refusal,
}


_AUDIO_FORMATS = frozenset({"wav", "mp3"})


def encode_content(parts: list[dict[str, object]]) -> object:
    """A lone text as a string, which every server takes."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def encode_text_part(part: AnyPart) -> dict[str, object]:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case File(text=str(text)):
            return {"type": "text", "text": f"{part.name}\n\n{text}" if part.name else text}
        case _:
            raise CannotCarry(kind_of(part), f"{called(part)} where chat takes text alone")


def encode_user_part(part: AnyPart) -> dict[str, object]:
    match part:
        case Image():
            url = part.url or f"data:{part.media_type};base64,{part.data}"
            image: dict[str, object] = {"url": url}
            if part.detail is not None:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Audio(format=format_) if format_ in _AUDIO_FORMATS:
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": format_}}
        case File(data=str(data)):
            file: dict[str, object] = {"file_data": data_url(part.media_type, data)}
            if part.name is not None:
                file["filename"] = part.name
            return {"type": "file", "file": file}
        case _:
            return encode_text_part(part)


def called(part: AnyPart) -> str:
    match part:
        case Image():
            return "an image"
        case File(url=str()):
            return "a file named by its URL"
        case File(file_id=str()):
            return "a file that lives at one provider"
        case File():
            return "a file"
        case Audio():
            return f"audio in the format {part.format}"
        case _:
            return f"a part of kind {type(part).__name__}"
