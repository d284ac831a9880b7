"""The one word for a part of a message that a dialect has no place for."""

from sidecar.canonical.request import AnyPart, Audio, File, Image
from sidecar.errors import Uncarried


def kind_of(part: AnyPart) -> Uncarried:
    match part:
        case Image():
            return "image"
        case File():
            return "file"
        case Audio():
            return "audio"
        case _:
            return "part"
