"""What is given any bytes, and may answer with nothing but its result or the error that its docstring names."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from functools import cache

import msgspec

from controller.api.answers import parse_as
from controller.errors import ApiError
from controller.ledger.booking import faults_of, faults_of_feedback
from schemas.bundle import BundleRefused, SignedPointer, decode_bundle
from schemas.load import load
from schemas.record import UsageBatch
from sidecar.dialects.registry import DIALECTS, TARGETS
from sidecar.errors import GatewayError
from sidecar.routing.snapshot import build_snapshot
from sidecar.rules.trust import parse_pointer
from sidecar.spool.lines import Line, decode_lines
from sidecar.sse import EventTooLong, SseDecoder
from tests.fuzz.edge import Edge

Target = Callable[[bytes], None]

DAY = date(2026, 11, 1)
RULE_FILES = (
    "pointsman.yaml",
    "providers/p.yaml",
    "models/m.yaml",
    "use-cases/u/use-case.yaml",
    "use-cases/u/tests.yaml",
)


def request(data: bytes) -> None:
    """A body as an agent of each dialect sends it, opened and translated."""
    for dialect in DIALECTS.values():
        with suppress(GatewayError):
            envelope = dialect.open(data)
            dialect.beginning(envelope)
            dialect.forward(envelope, "m")
            dialect.decode_request(envelope)


def response(data: bytes) -> None:
    """A plain answer of each provider, and each refusal."""
    for target in TARGETS.values():
        with suppress(GatewayError):
            target.decode_response(data)
        target.decode_error(429, {"retry-after": data[:20].decode("latin-1")}, data)
    for dialect in DIALECTS.values():
        with suppress(GatewayError):
            dialect.read_answer(data)


def stream(data: bytes) -> None:
    """A stream of each provider, cut in two where its first byte says; decoders and taps never raise."""
    cut = data[0] if data else 0
    for target in TARGETS.values():
        decoder = target.new_decoder()
        decoder.feed(data[1:cut])
        decoder.feed(data[cut:] if cut > 1 else data[1:])
        decoder.finish()
    for dialect in DIALECTS.values():
        tap = dialect.new_tap(False, lambda _usage: None)
        tap.feed(data[1:])
        tap.finish()


def sse(data: bytes) -> None:
    with suppress(EventTooLong):
        SseDecoder().feed(data)


def rules(data: bytes) -> None:
    """Text in the place of every kind of rule file at once: problems, never an exception."""
    text = data.decode("utf-8", "surrogateescape")
    load(dict.fromkeys(RULE_FILES, text), today=DAY, revision="0" * 40)


def bundle(data: bytes) -> None:
    with suppress(BundleRefused):
        build_snapshot(decode_bundle(data))


def pointer(data: bytes) -> None:
    with suppress(BundleRefused):
        parse_pointer(SignedPointer(pointer=data.decode("utf-8", "surrogateescape")))


def spool(data: bytes) -> None:
    """A segment as a crash or a bad disk may leave it: lines that are whole, and places behind those that are not."""
    for found in decode_lines(data):
        if isinstance(found, Line):
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                found.record()


def ingest(data: bytes) -> None:
    """What a sidecar uploads, held to what a ledger takes."""
    with suppress(ApiError):
        batch = parse_as(data, UsageBatch)
        for record in batch.records:
            list(faults_of(record))
        for said in batch.feedback:
            list(faults_of_feedback(said))


def edge(data: bytes) -> None:
    """What an agent's connection may bring, its request line first."""
    _edge().ask(data)


@cache
def _edge() -> Edge:
    return Edge()


TARGETS_BY_NAME: Mapping[str, Target] = {
    one.__name__: one for one in (request, response, stream, sse, rules, bundle, pointer, spool, ingest, edge)
}
