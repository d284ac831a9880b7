"""What one source file says of models: packages, names, addresses, keys and routing, each with its line. Pure."""

import ast
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from controller.audit.signs import Sign, Signs
from controller.audit.source import SourceFile, without_comments

_TELLING: Final = (
    "gpt-", "openai", "claude", "anthropic", "gemini", "gemma", "genai", "vertexai", "mistral", "mixtral", "codestral",
    "ministral", "magistral", "pixtral", "devstral", "llama", "deepseek", "grok-", "xai", "x.ai", "cohere", "command-",
    "nova-", "titan-", "bedrock", "qwen", "qwq", "dashscope", "kimi", "moonshot", "pointsman", ":4100", "litellm",
    "portkey", "openrouter", "gateway", "text-embedding", "aiplatform", "generative", "together", "fireworks.ai",
    "groq", "anyscale", "inference.ai", "langchain", "ai-sdk", "services.ai", "with_fallbacks", "withfallbacks",
    "fallbackmodel",
    '"o1', "'o1", '"o3', "'o3", '"o4', "'o4", "fallbacks:", "router_settings", "co_api_key",
)  # fmt: skip
"""Most files of a repository have none of these: they are put aside by one look. In small letters."""
_URL: Final = re.compile(r"(?:https?|wss)://[^\s\"'`<>)\]}]+")
_STRING: Final = re.compile(r'"((?:\\.|[^"\\\n])*)"|\'((?:\\.|[^\'\\\n])*)\'|`((?:\\.|[^`\\])*)`')
_WORD: Final = re.compile(r"[A-Za-z0-9@_./:\-]+")
_KEY: Final = re.compile(r"\b[A-Z][A-Z0-9_]*_API_KEY\b")
_ASSIGNED: Final = re.compile(r"^\s*-?\s*[\"']?(?:[\w.\-]+)[\"']?\s*[:=]\s*[\"']?([^\s\"'#,]+)")
_IMPORT: Final = {
    "javascript": re.compile(r"(?:\bfrom|\bimport|\brequire\s*\(|\bimport\s*\()\s*[\"']([^\"'\n]+)[\"']"),
    "go": re.compile(r"^\s*(?:import\s+)?(?:[\w.]+\s+)?\"([\w.\-]+\.[\w.\-/]+)\"\s*$", re.MULTILINE),
    "java": re.compile(r"^\s*import\s+(?:static\s+)?([\w.]+)", re.MULTILINE),
}


@dataclass(frozen=True, slots=True)
class Sighting:
    file: str
    line: int
    sign: Sign
    text: str
    """As it stands in the file; never a key's value."""


def sightings_in(source: SourceFile, signs: Signs, names: frozenset[str] = frozenset()) -> list[Sighting]:
    """By line. `names` are use cases and aliases that a file may name instead of a model."""
    if not is_telling(source.text) and not any(name in source.text for name in names):
        return []
    found = _in_python(source, signs, names) if source.language == "python" else _in_text(source, signs, names)
    return sorted(set(found), key=lambda one: (one.line, one.sign.kind, one.text))


def is_telling(text: str) -> bool:
    """Whether a text may name a model or one who serves it."""
    lowered = text.lower()
    return any(word in lowered for word in _TELLING)


def _in_python(source: SourceFile, signs: Signs, names: frozenset[str]) -> Iterator[Sighting]:
    try:
        tree = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield from _in_text(source, signs, names)
        return
    docstrings: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()):
                docstrings.add(id(node.value))
            case ast.Import(names=imported):
                yield from _packages(source, signs, node.lineno, (one.name for one in imported))
            case ast.ImportFrom(module=str(module), level=0, names=imported):
                # `from google import genai` names the package by two halves.
                paths = (f"{module}.{one.name}" for one in imported)
                yield from _packages(source, signs, node.lineno, paths)
            # A parent comes before its children here, so that a docstring is known when it is met.
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield from _in_string(source, signs, names, node.lineno, text)
            case ast.Call() if (routing := _routing_of(node, signs)) is not None:
                yield Sighting(source.path, node.lineno, Sign("routing", "", "routing"), routing)
            case _:
                pass


def _routing_of(call: ast.Call, signs: Signs) -> str | None:
    """What in a call chooses among models: its own name, or a parameter's."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in signs.routing_calls:
            return name
        case _:
            given = (keyword.arg for keyword in call.keywords)
            return next((name for name in given if name in signs.routing_parameters), None)


def _shown(found: re.Match[str]) -> str:
    return found[0].strip(" ({:")


def _packages(source: SourceFile, signs: Signs, line: int, paths: Iterator[str]) -> Iterator[Sighting]:
    for path in paths:
        if sign := signs.of_package(source.language, path):
            yield Sighting(source.path, line, sign, path)


def _in_text(source: SourceFile, signs: Signs, names: frozenset[str]) -> Iterator[Sighting]:
    text = without_comments(source)
    line_of = _Lines(text)
    if (imports := _IMPORT.get(source.language)) is not None:
        for found in imports.finditer(text):
            yield from _packages(source, signs, line_of(found.start(1)), iter((found[1],)))
    if (routing := signs.routing.get(source.language)) is not None:
        for found in routing.finditer(text):
            line = line_of(found.start() + len(found[0]) - len(found[0].lstrip()))
            yield Sighting(source.path, line, Sign("routing", "", "routing"), _shown(found))
    if source.language == "data":
        for number, line_text in enumerate(text.splitlines(), start=1):
            yield from _in_data(source, signs, names, number, line_text)
    else:
        for found in _STRING.finditer(text):
            content = found[1] or found[2] or found[3] or ""
            yield from _in_string(source, signs, names, line_of(found.start()), content)


def _in_data(source: SourceFile, signs: Signs, names: frozenset[str], number: int, text: str) -> Iterator[Sighting]:
    """A line of configuration: keys and values are words."""
    yield from _urls(source, signs, number, text)
    yield from _keys(source, signs, number, text)
    for word in _WORD.findall(_URL.sub(" ", text)):
        yield from _name(source, signs, number, word.strip(".:/-"))
    if (value := _ASSIGNED.match(text)) and value[1] in names:
        yield Sighting(source.path, number, Sign("use_case", "", value[1]), value[1])


def _in_string(source: SourceFile, signs: Signs, names: frozenset[str], line: int, text: str) -> Iterator[Sighting]:
    yield from _urls(source, signs, line, text)
    yield from _keys(source, signs, line, text)
    if text in names:
        yield Sighting(source.path, line, Sign("use_case", "", text), text)
    if text.lower() == signs.header:
        yield Sighting(source.path, line, Sign("sidecar", "", signs.header), text)
    if len(text) <= 120 and " " not in text:
        yield from _name(source, signs, line, text)
        # Agent frameworks write `openai:gpt-5`.
        if ":" in text:
            yield from _name(source, signs, line, text.split(":", 1)[1])


def _urls(source: SourceFile, signs: Signs, line: int, text: str) -> Iterator[Sighting]:
    for url in _URL.findall(text):
        if sign := signs.of_url(url):
            yield Sighting(source.path, line, sign, sign.name)


def _keys(source: SourceFile, signs: Signs, line: int, text: str) -> Iterator[Sighting]:
    for name in _KEY.findall(text):
        if sign := signs.keys.get(name):
            yield Sighting(source.path, line, sign, name)


def _name(source: SourceFile, signs: Signs, line: int, text: str) -> Iterator[Sighting]:
    if sign := signs.of_model(text):
        yield Sighting(source.path, line, sign, text)


class _Lines:
    """The line of a place in a text, from 1."""

    def __init__(self, text: str) -> None:
        self._ends = [found.start() for found in re.finditer("\n", text)]

    def __call__(self, place: int) -> int:
        return bisect_left(self._ends, place) + 1
