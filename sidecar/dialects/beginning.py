"""How a conversation begins: the same bytes at every turn of it, however long it has become."""

from collections.abc import Iterator

import msgspec


class _Turn(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw = msgspec.Raw()


_TURNS = msgspec.json.Decoder(list[msgspec.Raw])
_TURN = msgspec.json.Decoder(_Turn)
_PARTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])

_NOT_SAID = ("type", "cache_control")
"""Agents move their cache marks to the newest turn, and write a text as a part in order to mark it."""


def beginning(*instructions: bytes | msgspec.Raw | None, turns: bytes | msgspec.Raw | None) -> bytes:
    """Instructions and turns up to the first of the user's. Empty where they cannot be read: the target's dialect says
    what it thinks of that.

    Args:
        instructions: text or parts, as JSON.
        turns: an array of turns, or the user's text alone, as JSON.
    """
    try:
        return b"\0".join([*(_said(text) for text in instructions if text is not None), *_turns(turns)])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""


def _turns(turns: bytes | msgspec.Raw | None) -> Iterator[bytes]:
    if turns is None:
        return
    if bytes(memoryview(turns)[:1]) != b"[":
        yield from (b"user", _said(turns))
        return
    for raw in _TURNS.decode(turns):
        turn = _TURN.decode(raw)
        yield from (turn.role.encode(), _said(turn.content))
        if turn.role == "user":
            return


def _said(content: bytes | msgspec.Raw) -> bytes:
    raw = bytes(content)
    if not raw.startswith(b"["):
        return b"text\0" + raw
    return b"\0".join(
        field
        for part in _PARTS.decode(raw)
        for name, value in part.items()
        if name not in _NOT_SAID
        for field in (name.encode(), bytes(value))
    )
