"""Calls as OpenTelemetry spans and metrics, sent by OTLP over HTTP. Needs the extra `otel`; imported for `--otel on`.

A call leaves its finished record in a queue and nothing more. A thread makes spans of it and sends them; while nobody
receives them the queue fills, and what does not fit is dropped and counted.
"""

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from schemas.record import AttemptRecord, CallRecord
from schemas.version import VERSION
from sidecar.routing.snapshot import Target
from sidecar.telemetry.genai import (
    ERROR,
    FIRST_TOKEN_SECONDS,
    OPERATION,
    REQUEST_MODEL,
    SECONDS,
    TOKEN_TYPE,
    TOKENS,
    Attributes,
    attempt_attributes,
    call_attributes,
    nanoseconds,
    operation_of,
    target_attributes,
)
from sidecar.telemetry.otel_settings import OtelSettings
from sidecar.trace_context import (
    SAMPLED,
    TRACEPARENT,
    beside,
    encode_parent,
    parse_parent,
    span_id_of,
    trace_id_of,
    traceparent_of,
)

SCOPE = "pointsman"
BATCH = 64
"""Calls per request to the collector: small, so that no stretch of work keeps the event loop's thread waiting."""
TURN_SECONDS = 0.0005
"""After which the event loop's thread gets its turn from one that encodes a batch; Python's own default is ten times
that."""
CLOSE_SECONDS = 2.0

TargetOf = Callable[[str, str], Target | None]
"""From a model and a provider to the target in the rules of now."""

log = logging.getLogger("pointsman")


class OtlpCalls:
    """A `CallObserver`. Where to, and what is sampled, the SDK reads from the standard `OTEL_*` variables."""

    def __init__(self, sidecar: str, target_of: TargetOf, settings: OtelSettings) -> None:
        self.dropped_calls = 0
        self.dropped_spans = 0
        self._target_of = target_of
        self._capacity = settings.queue
        self._delay = settings.delay_seconds
        self._queue: deque[CallRecord] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._is_away = False
        resource = _resource(sidecar)
        self._ids = _Ids()
        self._ended = _Ended()
        self._tracers = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._tracers.add_span_processor(self._ended)
        self._tracer = self._tracers.get_tracer(SCOPE, VERSION)
        self._exporter: SpanExporter | None = OTLPSpanExporter() if settings.spans else None
        readers: list[MetricReader] = []
        if settings.metrics:
            readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
        self._meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        self._instruments = _Instruments(self._meters)
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)

    def start(self) -> None:
        # It tells of every try; we tell of a collector that goes away and comes back.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        sys.setswitchinterval(TURN_SECONDS)
        self._thread.start()

    def observe(self, record: CallRecord) -> None:
        if len(self._queue) >= self._capacity:
            self.dropped_calls += 1
            return
        self._queue.append(record)
        if len(self._queue) == BATCH:
            self._wake.set()

    def context_for(self, call_id: str, headers: Mapping[str, str], attempt: int) -> dict[str, str]:
        """The attempt's own span as the parent of what its provider does."""
        traceparent = traceparent_of(headers)
        caller = parse_parent(traceparent)
        trace_id = trace_id_of(call_id) if caller is None else caller.trace_id
        sampling = self._tracers.sampler.should_sample(_context(traceparent), trace_id, "", SpanKind.SERVER)
        flags = SAMPLED if sampling.decision is Decision.RECORD_AND_SAMPLE else 0
        return {TRACEPARENT: encode_parent(trace_id, span_id_of(call_id, attempt), flags), **beside(headers)}

    def close(self) -> None:
        """Sends what is left, for `CLOSE_SECONDS` at most. Blocks."""
        self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_SECONDS / 2)
        # In a thread of its own: it waits longer than it is told to while nobody answers.
        last = threading.Thread(target=self._meters.shutdown, daemon=True)
        last.start()
        last.join(CLOSE_SECONDS / 2)
        if self._exporter is not None:
            self._exporter.shutdown()

    def _run(self) -> None:
        while not self._closing or self._queue:
            if not self._closing and len(self._queue) < BATCH:
                self._wake.wait(self._delay)
            self._wake.clear()
            self._send_batch()

    def _send_batch(self) -> None:
        for _ in range(min(BATCH, len(self._queue))):
            record = self._queue.popleft()
            try:
                self._tell(record)
            except Exception:
                log.exception("otlp.crashed id=%s", record.id)
        spans = self._ended.take()
        if self._exporter is None or not spans:
            return
        is_taken = self._exporter.export(spans) is SpanExportResult.SUCCESS
        if not is_taken:
            self.dropped_spans += len(spans)
        if is_taken is self._is_away:
            self._is_away = not is_taken
            log.warning("otlp.%s dropped_spans=%d", "back" if is_taken else "away", self.dropped_spans)

    def _tell(self, record: CallRecord) -> None:
        began = nanoseconds(record.at)
        caller = parse_parent(record.trace)
        trace_id = trace_id_of(record.id) if caller is None else caller.trace_id
        self._ids.trace_id, self._ids.span_id = trace_id, span_id_of(record.id)
        attributes = call_attributes(record)
        name = f"{operation_of(record)} {record.use_case}"
        span = self._tracer.start_span(name, _context(record.trace), SpanKind.SERVER, attributes, start_time=began)
        inside = set_span_in_context(span, Context())
        for number, attempt in enumerate(sorted(record.attempts, key=lambda attempt: attempt.began_seconds)):
            target = self._target_of(attempt.model, attempt.provider)
            self._ids.span_id = span_id_of(record.id, number)
            if span.is_recording():
                self._tell_attempt(record, attempt, target, inside, began)
            self._instruments.note_attempt(record, attempt, target)
        _end(span, attributes, began, record.seconds)
        self._instruments.note_call(record)

    def _tell_attempt(
        self, record: CallRecord, attempt: AttemptRecord, target: Target | None, inside: Context, call_began: int
    ) -> None:
        attributes = attempt_attributes(record, attempt, target)
        name = f"{attributes[OPERATION]} {attributes[REQUEST_MODEL]}"
        began = call_began + _nanoseconds(attempt.began_seconds)
        span = self._tracer.start_span(name, inside, SpanKind.CLIENT, attributes, start_time=began)
        if attempt.first_token_seconds is not None:
            span.add_event("first token", timestamp=began + _nanoseconds(attempt.first_token_seconds))
        _end(span, attributes, began, attempt.seconds)


class _Instruments:
    """The conventions' histograms, and what a call cost."""

    def __init__(self, meters: MeterProvider) -> None:
        meter = meters.get_meter(SCOPE, VERSION)

        def histogram(name: str, unit: str, bounds: tuple[float, ...], text: str) -> Histogram:
            return meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=bounds)

        self._attempts = histogram("gen_ai.client.operation.duration", "s", SECONDS, "GenAI operation duration.")
        self._first_chunks = histogram(
            "gen_ai.client.operation.time_to_first_chunk", "s", SECONDS, "Time to receive the first chunk."
        )
        self._tokens = histogram(
            "gen_ai.client.token.usage", "{token}", TOKENS, "Number of input and output tokens used."
        )
        self._calls = histogram("gen_ai.server.request.duration", "s", SECONDS, "Whole calls, all attempts included.")
        self._first_tokens = histogram(
            "gen_ai.server.time_to_first_token", "s", FIRST_TOKEN_SECONDS, "To a stream's first content."
        )
        self._cost = meter.create_counter("pointsman.cost", "{USD}", "US dollars spent, failed attempts included.")

    def note_attempt(self, record: CallRecord, attempt: AttemptRecord, target: Target | None) -> None:
        attributes = target_attributes(record, attempt, target)
        self._attempts.record(attempt.seconds, attributes)
        if attempt.first_token_seconds is not None:
            self._first_chunks.record(attempt.first_token_seconds, attributes)
        if attempt.usage is not None and not attempt.estimated:
            self._tokens.record(attempt.usage.input_tokens, attributes | {TOKEN_TYPE: "input"})
            self._tokens.record(attempt.usage.output_tokens, attributes | {TOKEN_TYPE: "output"})
        if attempt.cost_usd is not None:
            self._cost.add(float(attempt.cost_usd), {**attributes, "pointsman.use_case": record.use_case})

    def note_call(self, record: CallRecord) -> None:
        attributes: Attributes = {OPERATION: operation_of(record), REQUEST_MODEL: record.use_case}
        attributes |= {} if record.outcome == "ok" else {ERROR: record.outcome}
        self._calls.record(record.seconds, attributes)
        if record.first_token_seconds is not None:
            self._first_tokens.record(record.first_token_seconds, attributes)


class _Ids(IdGenerator):
    """Ids of the span that is started next."""

    trace_id = 0
    span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Ended(SpanProcessor):
    """Holds what the sampler took, until the batch is sent."""

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        if span.context.trace_flags.sampled:
            self._spans.append(span)

    def take(self) -> list[ReadableSpan]:
        spans, self._spans = self._spans, []
        return spans


def _end(span: object, attributes: Attributes, began: int, seconds: float) -> None:
    assert isinstance(span, (Span, NonRecordingSpan))
    if ERROR in attributes:
        span.set_status(Status(StatusCode.ERROR))
    span.end(began + _nanoseconds(seconds))


def _context(traceparent: str) -> Context:
    caller = parse_parent(traceparent)
    if caller is None:
        return Context()
    parent = SpanContext(caller.trace_id, caller.span_id, is_remote=True, trace_flags=TraceFlags(caller.flags))
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _resource(sidecar: str) -> Resource:
    ours = {"service.name": "pointsman-sidecar", "service.version": VERSION, "service.instance.id": sidecar}
    return Resource.create({**ours, **_named(OTELResourceDetector().detect())})


def _named(found: Resource) -> dict[str, str]:
    return {name: str(value) for name, value in found.attributes.items()}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)
