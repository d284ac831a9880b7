"""One line per event: `revision.accepted revision=3f2a… seq=4`, or the same as a JSON object.

A warning goes to stderr, the rest to stdout.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

_logger: Final = logging.getLogger("controller")
_PLAIN: Final = re.compile(r"[^\s\"=\\]+")
_CONTROL: Final = str.maketrans({code: " " for code in (*range(32), 127)})


class JsonLines(logging.Formatter):
    """An event as one JSON object; a traceback stands inside it."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {"time": at, "level": record.levelname.lower()}
        event = getattr(record, "event", None)
        line |= {"message": record.getMessage()} if event is None else {"event": event, **record.__dict__["fields"]}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(*, as_json: bool = False) -> None:
    """Writes events to the process's streams; called once, by the program that owns them."""
    _logger.handlers = [_stream(sys.stdout, below=logging.WARNING), _stream(sys.stderr, at_least=logging.WARNING)]
    if as_json:
        for handler in _logger.handlers:
            handler.setFormatter(JsonLines())
    _logger.setLevel(logging.INFO)
    _logger.propagate = False


def event(name: str, **fields: object) -> None:
    """Something happened as it should."""
    _logger.info(_line(name, fields), extra={"event": name, "fields": fields})


def warn(name: str, **fields: object) -> None:
    """Something that a person should look at."""
    _logger.warning(_line(name, fields), extra={"event": name, "fields": fields})


def bug(name: str, error: BaseException, **fields: object) -> None:
    """Our own fault: the only event that carries a traceback, in the log alone."""
    fields = fields | {"error": type(error).__name__}
    _logger.error(_line(name, fields), exc_info=error, extra={"event": name, "fields": fields})


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
