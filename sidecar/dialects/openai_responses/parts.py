"""Parts of a message or of a tool's result ↔ canonical parts (openai SDK, `response_input_*_param`)."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from sidecar.canonical.request import (
    AnyPart,
    File,
    Image,
    Refusal,
    Text,
)
from sidecar.dialects.beside_text import UrlCitation, decode_citations
from sidecar.dialects.data_url import data_url, split_data_url
from sidecar.dialects.kinds import kind_of
from sidecar.errors import CannotCarry, MalformedRequest


class _CacheMark(msgspec.Struct):
    ttl: str | None = None


class Part(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: _CacheMark | None = None
    annotations: list[UrlCitation] | None = None


def decode_content(content: str | list[Part], where: str) -> Iterator[AnyPart]:
    if isinstance(content, str):
        yield Text(text=content)
        return
    for at, part in enumerate(content):
        decode = _PARTS.get(part.type)
        if decode is None:
            raise CannotCarry("part", f"a part of type `{part.type}`")
        decoded = decode(part)
        if decoded is None:
            raise MalformedRequest(f"`{where}[{at}]`: this {part.type} is empty or cannot be read")
        yield decoded


def _ttl(part: Part) -> str | None:
    """OpenAI's marks live for 30 minutes or 12 hours, which the canonical `1h` comes nearest to."""
    mark = part.prompt_cache_breakpoint
    if mark is None:
        return None
    return "1h" if mark.ttl else "5m"


def _decode_text(part: Part) -> Text | None:
    if part.text is None:
        return None
    return Text(text=part.text, citations=decode_citations(part.annotations), cache_ttl=_ttl(part))


def _decode_refusal(part: Part) -> Refusal | None:
    return None if part.refusal is None else Refusal(text=part.refusal)


def _decode_image(part: Part) -> Image | None:
    if part.file_id is not None:
        raise CannotCarry("image", "an image that lives at one provider")
    url = part.image_url
    if url is None:
        return None
    if not url.startswith("data:"):
        return Image(url=url, detail=part.detail, cache_ttl=_ttl(part))
    inline = split_data_url(url)
    return inline and Image(data=inline[1], media_type=inline[0], detail=part.detail, cache_ttl=_ttl(part))


def _decode_file(part: Part) -> File | None:
    given = [source for source in (part.file_id, part.file_url, part.file_data) if source is not None]
    if len(given) != 1:
        return None
    if part.file_data is None:
        return File(file_id=part.file_id, url=part.file_url, name=part.filename, cache_ttl=_ttl(part))
    media_type, data = None, part.file_data
    if data.startswith("data:"):
        inline = split_data_url(data)
        if inline is None:
            return None
        media_type, data = inline
    return File(data=data, media_type=media_type, name=part.filename, cache_ttl=_ttl(part))


_PARTS: Mapping[str, Callable[[Part], AnyPart | None]] = {
    "input_text": _decode_text,
    "output_text": _decode_text,
    "text": _decode_text,
    "refusal": _decode_refusal,
    "input_image": _decode_image,
    "input_file": _decode_file,
}


def encode_content(parts: list[dict[str, object]]) -> object:
    """A lone text as a string, which every server takes."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "input_text" else parts


def encode_text_part(part: AnyPart) -> dict[str, object]:
    match part:
        case Text():
            return {"type": "input_text", "text": part.text}
        case File(text=str(text)):
            return {"type": "input_text", "text": f"{part.name}\n\n{text}" if part.name else text}
        case _:
            raise CannotCarry(kind_of(part), f"{called(part)} where the Responses API takes text alone")


def encode_user_part(part: AnyPart) -> dict[str, object]:
    match part:
        case Image():
            image: dict[str, object] = {"type": "input_image"}
            image["image_url"] = part.url or data_url(part.media_type, part.data or "")
            if part.detail is not None:
                image["detail"] = part.detail
            return image
        case File(data=str(data)):
            return _named({"type": "input_file", "file_data": data_url(part.media_type, data)}, part)
        case File(url=str(url)):
            return _named({"type": "input_file", "file_url": url}, part)
        case _:
            return encode_text_part(part)


def _named(wire: dict[str, object], file: File) -> dict[str, object]:
    return wire if file.name is None else wire | {"filename": file.name}


def called(part: AnyPart) -> str:
    match part:
        case Image():
            return "an image"
        case File(file_id=str()):
            return "a file that lives at one provider"
        case File():
            return "a file"
        case _:
            return f"a part of kind {type(part).__name__}"
