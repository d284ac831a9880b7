"""Wire transcripts in `tests/golden`: what each dialect's bytes mean, and what they become in every other dialect.

Inputs are written by hand from the vendors' documentation (`SOURCES.md`). What lies beside an input as `CASE.WHAT.json`
or `.sse` is expected of our code; after reading the difference, rewrite it with
`UPDATE_GOLDEN=1 python -m pytest tests/test_golden.py`.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from schemas.record import Usage
from sidecar.canonical.events import AnyEvent, Ended, Failed, UsageReported, collect
from sidecar.canonical.model import ModelTraits
from sidecar.dialects.base import Dialect, Envelope, InPath, TargetDialect
from sidecar.dialects.registry import DIALECTS, TARGETS
from sidecar.errors import GatewayError, UpstreamError, code_of
from tests.fakes.eventstream import wire_of

GOLDEN = Path(__file__).parent / "golden"
UPDATE = "UPDATE_GOLDEN" in os.environ

TARGET = "the-target"
TRAITS = ModelTraits(TARGET, 64_000, server_tools=frozenset({"web_search", "code_execution"}))
IN_PATH = "a-use-case"
INPUT_ESTIMATE = 1_000
REQUEST_ID = "req_golden"


def price(usage: Usage) -> Decimal:
    return Decimal("0.000003") * usage.input_tokens + Decimal("0.000015") * usage.output_tokens


def tokens(usage: Usage | None) -> Usage | None:
    """Without what is for our books alone: no dialect has words for another vendor's tiers, hours and searches."""
    return usage and msgspec.structs.replace(usage, cache_write_1h_tokens=0, web_searches=0, service="")


def cases(kind: str, *suffixes: str) -> list[object]:
    return list(_cases(kind, suffixes))


def _cases(kind: str, suffixes: Sequence[str]) -> Iterator[object]:
    for name in TARGETS:
        for path in sorted((GOLDEN / kind / name).glob("*")):
            if path.name.count(".") == 1 and path.suffix in suffixes:
                yield pytest.param(path, TARGETS[name], id=f"{name}-{path.stem}")


def callers_but(dialect: TargetDialect) -> list[Dialect]:
    return [other for other in DIALECTS.values() if other is not dialect]


def targets_but(dialect: TargetDialect) -> list[TargetDialect]:
    return [other for other in TARGETS.values() if other is not dialect]


def expect(path: Path, actual: object) -> None:
    """Holds what our code made against the file, bytes as they are and values as JSON."""
    if path.suffix == ".json":
        written = json.dumps(actual, indent=2, ensure_ascii=False) + "\n"
    else:
        assert isinstance(actual, bytes)
        written = actual.decode()
    if UPDATE:
        path.write_text(written)
    assert path.read_text() == written, f"{path.name} differs"


def beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.stem}.{what}")


def refusal(error: GatewayError) -> dict[str, object]:
    return {"refused": {"code": code_of(error), "message": error.message}}


def opened(dialect: Dialect, path: Path) -> Envelope:
    """A dialect that says model and streaming in its path has them in its file's name: `stream…` is streamed."""
    return dialect.open(path.read_bytes(), InPath(IN_PATH, path.stem.startswith("stream")))


@pytest.mark.parametrize(("path", "dialect"), cases("requests", ".json"))
def test_request_passes_on_with_nothing_changed_but_the_model(path: Path, dialect: Dialect) -> None:
    envelope = opened(dialect, path)
    forwarded = json.loads(dialect.forward(envelope, TARGET))
    sent = json.loads(envelope.body)
    if dialect.name != "gemini":
        sent["model"] = TARGET
    if envelope.stream and dialect.name == "openai":
        # A chat stream always asks for usage; the tap takes it out again.
        sent["stream_options"] = sent.get("stream_options", {}) | {"include_usage": True}
    assert forwarded == sent
    facts = {
        "model": envelope.model,
        "stream": envelope.stream,
        "wants_usage": envelope.wants_usage,
        "needs": sorted(envelope.needs),
        "max_output_tokens": envelope.max_output_tokens,
        "metadata": envelope.metadata,
    }
    expect(beside(path, "facts.json"), facts)


@pytest.mark.parametrize(("path", "dialect"), cases("requests", ".json"))
def test_request_in_the_canonical_form(path: Path, dialect: Dialect) -> None:
    try:
        request = dialect.decode_request(opened(dialect, path))
    except GatewayError as error:
        return expect(beside(path, "canonical.json"), refusal(error))
    return expect(beside(path, "canonical.json"), tagged(request))


@pytest.mark.parametrize(("path", "dialect"), cases("requests", ".json"))
def test_request_in_another_dialect(path: Path, dialect: Dialect) -> None:
    for other in targets_but(dialect):
        expect(beside(path, f"to_{other.name}.json"), request_to(other, dialect, path))


def request_to(other: TargetDialect, dialect: Dialect, path: Path) -> dict[str, object]:
    try:
        request = dialect.decode_request(opened(dialect, path))
        encoded = other.encode_request(request, TRAITS)
    except GatewayError as error:
        return refusal(error)
    if isinstance(other, Dialect):
        other.open(encoded.body, InPath(TARGET, request.stream))
    return {"body": json.loads(encoded.body), "dropped": encoded.dropped}


@pytest.mark.parametrize(("path", "dialect"), cases("responses", ".json"))
def test_answer_in_another_dialect(path: Path, dialect: TargetDialect) -> None:
    for other in callers_but(dialect):
        expect(beside(path, f"to_{other.name}.json"), answer_to(other, dialect, path.read_bytes()))


def answer_to(other: Dialect, dialect: TargetDialect, body: bytes) -> object:
    try:
        encoded = other.encode_response(dialect.decode_response(body))
    except GatewayError as error:
        return refusal(error)
    assert tokens(other.read_answer(encoded).usage) == tokens(usage_of(dialect, body))
    return json.loads(encoded)


@pytest.mark.parametrize(("path", "dialect"), cases("responses", ".json"))
def test_usage_of_an_answer(path: Path, dialect: TargetDialect) -> None:
    try:
        usage = usage_of(dialect, path.read_bytes())
    except UpstreamError as error:
        return expect(beside(path, "usage.json"), refusal(error))
    return expect(beside(path, "usage.json"), built(usage))


def usage_of(dialect: TargetDialect, body: bytes) -> Usage | None:
    """As the books get it: from an answer that passes through, or from one that is translated."""
    return (dialect.read_answer(body) if isinstance(dialect, Dialect) else dialect.decode_response(body)).usage


@pytest.mark.parametrize(("path", "dialect"), cases("streams", ".sse", ".frames"))
def test_stream_in_the_canonical_form(path: Path, dialect: TargetDialect) -> None:
    expect(beside(path, "events.json"), [tagged(event) for event in decode(dialect, wire_of(path))])


@pytest.mark.parametrize(("path", "dialect"), cases("streams", ".sse", ".frames"))
def test_stream_in_another_dialect(path: Path, dialect: TargetDialect) -> None:
    events = decode(dialect, wire_of(path))
    for other in callers_but(dialect):
        encoder = other.new_encoder(True, price, INPUT_ESTIMATE)
        # One event at a time, as they come.
        encoded = b"".join(encoder.encode([event]) for event in events)
        expect(beside(path, f"to_{other.name}.sse"), encoded)
        read = outcome(decode(other, encoded))
        word, usage = outcome(events)
        if usage is not None and word == "ok":
            assert (read[0], tokens(read[1])) == (word, tokens(usage))
        else:
            # A failure of any kind is the caller's dialect's own error event, and nothing after it.
            assert read[0] == ("ok" if word == "ok" else "stream_failed")


@pytest.mark.parametrize(("path", "dialect"), cases("streams", ".sse", ".frames"))
def test_usage_and_outcome_of_a_stream(path: Path, dialect: TargetDialect) -> None:
    """The tap of a stream that passes through and the decoder of one that does not agree, byte by byte fed or whole."""
    sent = wire_of(path)
    word, usage = outcome(decode(dialect, sent))
    expect(beside(path, "usage.json"), built(usage))
    for pieces in ([sent], [bytes([byte]) for byte in sent]):
        decoder = dialect.new_decoder()
        events = [event for piece in pieces for event in decoder.feed(piece)]
        assert outcome(events + decoder.finish()) == (word, usage)
        if not isinstance(dialect, Dialect):
            continue
        tap = dialect.new_tap(True, price)
        passed = b"".join(tap.feed(piece) for piece in pieces) + tap.finish()
        assert (tap.usage, tap.failed.code if tap.failed else "ok") == (usage, word)
        if word == "ok":
            assert collect(decode(dialect, passed)) == collect(decode(dialect, sent))


@pytest.mark.parametrize(("path", "dialect"), cases("errors", ".http"))
def test_error(path: Path, dialect: TargetDialect) -> None:
    head, _, body = path.read_bytes().partition(b"\n\n")
    first, *lines = head.decode().split("\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    error = dialect.decode_error(int(first.split()[1]), headers, body.strip())
    expected = {
        "class": type(error).__name__,
        "message": error.message,
        "upstream_status": error.upstream_status,
        "retry_after_seconds": error.retry_after_seconds,
        "shown": {
            name: {"status": error.status, "body": json.loads(shown.encode_error(error, REQUEST_ID))}
            for name, shown in sorted(DIALECTS.items())
        },
    }
    expect(beside(path, "error.json"), expected)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for name in TARGETS
        for kind in ("requests", "responses", "streams", "errors")
        if name in DIALECTS or kind != "requests"  # which agents do not send in the dialect of targets alone
    ],
)
def test_every_input_has_its_source(name: str, kind: str) -> None:
    """A transcript from nowhere proves nothing."""
    folder = GOLDEN / kind / name
    named = set(re.findall(r"^- `([^`]+)`: ", (folder / "SOURCES.md").read_text(), re.MULTILINE))
    assert named == {path.name for path in folder.iterdir() if path.name.count(".") == 1} - {"SOURCES.md"}


def decode(dialect: TargetDialect, sent: bytes) -> list[AnyEvent]:
    decoder = dialect.new_decoder()
    return decoder.feed(sent) + decoder.finish()


def outcome(events: Sequence[AnyEvent]) -> tuple[str, Usage | None]:
    """How a stream ended and what it used."""
    usage = next((event.usage for event in reversed(events) if isinstance(event, UsageReported)), None)
    match events[-1]:
        case Failed(error=error):
            return error.code, usage
        case Ended():
            collect(events)
            return "ok", usage
        case other:
            raise AssertionError(f"the stream ends with {other}")


def tagged(value: object) -> object:
    """JSON of a canonical value: of each struct its name, and the fields that do not have their defaults."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        kept = {
            field.name: getattr(value, field.name) for field in fields if getattr(value, field.name) != field.default
        }
        return {"is": type(value).__name__} | {name: tagged(each) for name, each in kept.items()}
    if isinstance(value, GatewayError):
        return {"is": type(value).__name__, "message": value.message}
    if isinstance(value, tuple | list):
        return [tagged(each) for each in value]
    if isinstance(value, dict):
        return {name: tagged(each) for name, each in value.items()}
    return value


def built(usage: Usage | None) -> object:
    return msgspec.to_builtins(usage)
