"""YAML text to plain values with the place of each: what a person wrote, or why it cannot be read. No I/O.

Built on parser events, so that size and depth are bounded before anything is built. Scalars are resolved as YAML 1.2
does: `no` and `on` are text, `1_000` and `12:30` are text, and a number with a point is a `Decimal` of its own digits.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml
from yaml.reader import Reader

from schemas.problems import Problem

MAX_FILE_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 20_000
"""Anchors count again at every alias that repeats them."""

Path = tuple[str | int, ...]
"""Keys and indexes from the top of a document."""
Place = tuple[int, int]
"""Line and column, both from 1."""

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBERS_BEGIN = frozenset("+-.0123456789")
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Document:
    """The values of one file, and where each stands."""

    data: object
    value_places: Mapping[Path, Place]
    key_places: Mapping[Path, Place]

    def place_of(self, path: Path) -> Place:
        """Where the value stands; of what is not there, its nearest parent."""
        return _nearest(self.value_places, path)

    def place_of_key(self, path: Path) -> Place:
        """Where the key itself stands, for findings about the key."""
        return self.key_places.get(path) or self.place_of(path)


def parse_yaml(file: str, text: str) -> tuple[Document | None, tuple[Problem, ...]]:
    """The document, or None with every reason; duplicate and odd keys are reported and the rest is still read."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_FILE_BYTES:
        return None, (_problem(file, (0, 0), "file-too-large", f"larger than {MAX_FILE_BYTES >> 20} MiB"),)
    if bad := Reader.NON_PRINTABLE.search(text):
        return None, (_problem(file, _place_in(text, bad.start()), "not-text", "a character that is not UTF-8 text"),)
    builder = _Builder(file)
    try:
        data = builder.document(yaml.parse(text, Loader=_Loader))
    except _Unreadable as unreadable:
        return None, (*builder.problems, unreadable.problem)
    except yaml.MarkedYAMLError as error:
        return None, (*builder.problems, _syntax_problem(file, text, error))
    except yaml.YAMLError as error:
        return None, (*builder.problems, _problem(file, (0, 0), "yaml-syntax", str(error)))
    if builder.problems:
        return None, tuple(builder.problems)
    return Document(data, builder.value_places, builder.key_places), ()


class _Unreadable(Exception):
    """Reading stops here."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(slots=True)
class _Builder:
    file: str
    problems: list[Problem] = field(default_factory=list)
    value_places: dict[Path, Place] = field(default_factory=dict)
    key_places: dict[Path, Place] = field(default_factory=dict)
    _anchors: dict[str, tuple[object, int]] = field(default_factory=dict)
    _nodes: int = 0

    def document(self, events: Iterator[yaml.Event]) -> object:
        data: object = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._stop(event, "several-documents", "a second document; one file holds one document")
            elif isinstance(event, yaml.NodeEvent):
                data = self._node(event, events, ())
        if data is None and not self.problems:
            raise _Unreadable(_problem(self.file, (0, 0), "empty-file", "the file is empty"))
        return data

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path) -> object:
        self.value_places[path] = _place(event)
        self._count(event, 1)
        if len(path) > MAX_DEPTH:
            raise self._stop(event, "too-deep", f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(event)
        if getattr(event, "tag", None) is not None:
            self._add(event, "yaml-tag", "YAML tags are not used in rule files; write the plain value")
        nodes_before = self._nodes
        if isinstance(event, yaml.ScalarEvent):
            value: object = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(events, path)
        else:
            value = self._mapping(events, path)
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = (value, self._nodes - nodes_before)
        return value

    def _sequence(self, events: Iterator[yaml.Event], path: Path) -> list[object]:
        items: list[object] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[yaml.Event], path: Path) -> dict[str, object]:
        items: dict[str, object] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, events, path)
            key_path = (*path, key)
            repeated = key in items
            if repeated:
                line = self.key_places[key_path][0]
                self._add(event, "duplicate-key", f'"{key}" stands here a second time; the first is in line {line}')
            else:
                self.key_places[key_path] = _place(event)
            value = self._node(next(events), events, key_path)
            if not repeated:
                items[key] = value
        return items

    def _key(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path) -> str:
        key = self._node(event, events, (*path, "?"))
        if isinstance(key, str):
            return key
        written = event.value if isinstance(event, yaml.ScalarEvent) else "a list or a mapping"
        self._add(event, "key-not-text", f"a key must be text, not {written}", f'write "{written}" in quotes')
        return str(written)

    def _repeated(self, event: yaml.AliasEvent) -> object:
        if event.anchor not in self._anchors:
            raise self._stop(event, "unknown-alias", f"no anchor &{event.anchor} stands before this alias")
        value, nodes = self._anchors[event.anchor]
        self._count(event, nodes)
        return value

    def _count(self, event: yaml.Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self._stop(event, "too-many-values", f"more than {MAX_NODES} values in one file, aliases counted")

    def _add(self, event: yaml.Event, code: str, message: str, suggestion: str = "") -> None:
        self.problems.append(_problem(self.file, _place(event), code, message, suggestion))

    def _stop(self, event: yaml.Event, code: str, message: str) -> _Unreadable:
        return _Unreadable(_problem(self.file, _place(event), code, message))


def _scalar(event: yaml.ScalarEvent) -> object:
    text = str(event.value)
    is_plain = event.implicit[0]
    if not is_plain:
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text[0] not in _NUMBERS_BEGIN:
        return text
    if _INT.fullmatch(text):
        return int(text)
    return Decimal(text) if _DECIMAL.fullmatch(text) else text


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)


def _place_in(text: str, offset: int) -> Place:
    return (text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def _nearest(places: Mapping[Path, Place], path: Path) -> Place:
    while path not in places and path:
        path = path[:-1]
    return places.get(path, (0, 0))


def _syntax_problem(file: str, text: str, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    lines = text.splitlines()
    line = lines[place[0] - 1] if 0 < place[0] <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return _problem(file, (place[0], 1), "tab", "a tab indents this line", "indent with spaces")
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    return _problem(file, place, "yaml-syntax", f"not valid YAML: {reason}", _hint(line))


def _hint(line: str) -> str:
    _, colon, value = line.partition(": ")
    if colon and value.lstrip()[:1] in ("*", "%", "@", "`", "&", "!"):
        return "put the value in quotes"
    return "check the indentation, brackets and quotes around here"


def _problem(file: str, place: Place, code: str, message: str, suggestion: str = "") -> Problem:
    return Problem(file, place[0], place[1], code, "error", message, suggestion)
