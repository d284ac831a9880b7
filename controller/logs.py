"""One line per event: `revision.accepted revision=3f2a… seq=4`; a warning goes to stderr, the rest to stdout."""

import logging
import re
import sys
from typing import Final, TextIO

_logger: Final = logging.getLogger("controller")
_PLAIN: Final = re.compile(r"[^\s\"=\\]+")
_CONTROL: Final = str.maketrans({code: " " for code in (*range(32), 127)})


def configure() -> None:
    """Writes events to the process's streams; called once, by the program that owns them."""
    _logger.handlers = [_stream(sys.stdout, below=logging.WARNING), _stream(sys.stderr, at_least=logging.WARNING)]
    _logger.setLevel(logging.INFO)
    _logger.propagate = False


def event(name: str, **fields: object) -> None:
    """Something happened as it should."""
    _logger.info(_line(name, fields))


def warn(name: str, **fields: object) -> None:
    """Something that a person should look at."""
    _logger.warning(_line(name, fields))


def bug(name: str, error: BaseException, **fields: object) -> None:
    """Our own fault: the only event that carries a traceback, in the log alone."""
    _logger.error(_line(name, fields | {"error": type(error).__name__}), exc_info=error)


def plain(text: str) -> None:
    """A line that is already in its own form, such as a problem with its place."""
    _logger.warning(text.translate(_CONTROL))


def _line(name: str, fields: dict[str, object]) -> str:
    return " ".join((name, *(f"{key}={_value(value)}" for key, value in fields.items())))


def _value(value: object) -> str:
    text = str(value).translate(_CONTROL)
    return text if _PLAIN.fullmatch(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _stream(stream: TextIO, *, at_least: int = logging.NOTSET, below: int = logging.CRITICAL + 1) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.addFilter(lambda record: at_least <= record.levelno < below)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler
