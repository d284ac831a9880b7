"""What a sidecar tells of calls by OTLP, in its metrics and in its log: one trace a call, by the conventions, and of
what was said in it not a word.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes

from schemas.record import CallRecord
from tests.fakes import bundles, wire
from tests.fakes.core_wire import STREAM, chat_answer, chat_chunk
from tests.fakes.otlp import attributes_of, metrics_in, resources_in, spans_in
from tests.fakes.provider import Answer, Received, providing
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.upstream import refusing_port

PLANTED = "planted"
"""In every key, prompt and answer; never in what is told of them."""
CALLER_KEY, VENDOR_KEY = f"sk-{PLANTED}-caller-key", f"sk-{PLANTED}-vendor-key"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-5{TRACE[1:]}-{PARENT}-00"
HELLO = {"model": "chat", "messages": [{"role": "user", "content": "Hello."}]}
CONVENTIONS = {
    value
    for module in (gen_ai_attributes, error_attributes, http_attributes, server_attributes)
    for name, value in vars(module).items()
    if name.isupper()
}


@dataclass(frozen=True)
class Seen:
    records: list[CallRecord]
    collector: list[Received]
    own: list[Received]
    vendor: list[Received]
    log: str
    output: str
    metrics: str

    @property
    def spans(self) -> list[Span]:
        return spans_in(self.collector)

    def calls(self) -> list[Span]:
        return [span for span in self.spans if span.kind == Span.SPAN_KIND_SERVER]

    def attempts(self, call: Span) -> list[Span]:
        return [span for span in self.spans if span.parent_span_id == call.span_id]


@pytest.fixture(scope="module")
def seen(start_sidecar: StartSidecar) -> Seen:
    return asyncio.run(a_few_calls(start_sidecar))


async def a_few_calls(start_sidecar: StartSidecar) -> Seen:
    async with providing(speak) as vendor, providing(speak) as own, providing() as collector:
        rules = bundles.bundle(
            {
                "vendor": bundles.provider("openai", vendor.url, key_env="VENDOR_KEY"),
                "own": bundles.provider("openai", own.url, trace_context=True),
            },
            {"alpha": bundles.model("vendor", name="alpha-1"), "beta": bundles.model("own", name="beta-1")},
            {"chat": bundles.use_case("alpha", "beta"), "local": bundles.use_case("beta")},
            callers=[bundles.caller("bot", CALLER_KEY)],
        )
        environment = {
            "VENDOR_KEY": VENDOR_KEY,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        options = ["--otel", "on", "--log-format", "json"]
        sidecar = await asyncio.to_thread(start_sidecar, rules, environment=environment, options=options)
        await ask(sidecar, "chat", traceparent=SAMPLED, tracestate="a=b", baggage="team=x")
        await ask(sidecar, "chat", "FAIL", traceparent=SAMPLED, tracestate="a=b", baggage="team=x")
        await ask(sidecar, "local", traceparent=UNSAMPLED)
        await ask(sidecar, "local", stream=True)
        await ask(sidecar, "local", "FAIL")
        await ask_in_other_dialects(sidecar)
        broken = f"{sidecar.url}/v1/chat/completions?key={PLANTED}", b"{%b" % PLANTED.encode()
        await asyncio.to_thread(wire.post, *broken)
        metrics = await asyncio.to_thread(sidecar.metrics)
        records = sidecar.records()
        assert await asyncio.to_thread(sidecar.stop) == 0
        output = "\n".join(line for _, line in sidecar.child.heard())
        return Seen(records, collector.received, own.received, vendor.received, sidecar.stderr(), output, metrics)


async def ask(sidecar: SidecarProcess, use_case: str, text: str = "", *, stream: bool = False, **headers: str) -> None:
    """With something planted wherever a request has room for text."""
    function = {"name": f"{PLANTED}_tool", "description": PLANTED, "parameters": {"type": "object", "title": PLANTED}}
    body = {
        "model": use_case,
        "stream": stream,
        "messages": [
            {"role": "system", "content": f"{PLANTED} system"},
            {"role": "user", "content": [{"type": "text", "text": f"{PLANTED} user {text}"}]},
        ],
        "tools": [{"type": "function", "function": function}],
        "metadata": {PLANTED: PLANTED},
        "user": PLANTED,
        "stop": [PLANTED],
    }
    more = {"authorization": f"Bearer {CALLER_KEY}", "x-pointsman-agent": "tester", "cookie": PLANTED, "x-own": PLANTED}
    await asyncio.to_thread(wire.post, f"{sidecar.url}/v1/chat/completions", body, {**more, **headers})


async def ask_in_other_dialects(sidecar: SidecarProcess) -> None:
    said = f"{PLANTED} user"
    messages = {"model": "chat", "max_tokens": 9, "system": said, "messages": [{"role": "user", "content": said}]}
    messages |= {"metadata": {"user_id": PLANTED}}
    headers = {"x-pointsman-agent": "tester"}
    answer = await asyncio.to_thread(
        wire.post, f"{sidecar.url}/v1/messages", messages, {**headers, "x-api-key": CALLER_KEY}
    )
    assert answer.status == 200
    contents = {"contents": [{"role": "user", "parts": [{"text": said}]}]}
    path = f"/v1beta/models/chat:generateContent?key={CALLER_KEY}"
    answer = await asyncio.to_thread(wire.post, f"{sidecar.url}{path}", contents, headers)
    assert answer.status == 200


def speak(received: Received) -> Answer:
    if b"FAIL" in received.body:
        return Answer(503, body=json.dumps({"error": {"message": f"{PLANTED} fault", "type": PLANTED}}).encode())
    if json.loads(received.body).get("stream"):
        body = b"".join((STREAM[0], chat_chunk({"content": PLANTED}), *STREAM[1:]))
        return Answer(headers={"content-type": "text/event-stream"}, body=body)
    return Answer(headers={"content-type": "application/json"}, body=chat_answer(text=f"{PLANTED} answer"))


def test_a_call_continues_its_callers_trace_with_a_span_for_each_attempt(seen: Seen) -> None:
    plain, failed_over = (call for call in seen.calls() if call.trace_id.hex() == TRACE)
    assert {call.parent_span_id.hex() for call in (plain, failed_over)} == {PARENT}
    for call, record in zip((plain, failed_over), seen.records, strict=False):
        attempts = seen.attempts(call)
        assert [attributes_of(span.attributes)["pointsman.outcome"] for span in attempts] == [
            attempt.outcome for attempt in record.attempts
        ]
        assert {span.trace_id for span in attempts} == {call.trace_id}
        for span in attempts:
            assert span.kind == Span.SPAN_KIND_CLIENT
            assert call.start_time_unix_nano <= span.start_time_unix_nano < span.end_time_unix_nano
            assert span.end_time_unix_nano <= call.end_time_unix_nano


def test_what_the_sampler_or_the_caller_leaves_out_is_not_sent(seen: Seen) -> None:
    traces = Counter(call.trace_id.hex() for call in seen.calls())
    assert traces[TRACE] == 2
    assert UNSAMPLED[3:35] not in traces
    assert len(seen.calls()) == len(seen.records) - 1


def test_a_provider_that_continues_traces_is_told_its_attempts_span_and_no_other_is_told_anything(seen: Seen) -> None:
    told = [received.headers for received in seen.own]
    assert all("traceparent" in headers for headers in told)
    spans = {span.span_id.hex(): span for span in seen.spans}
    sampled = [headers for headers in told if headers["traceparent"].endswith("-01")]
    for headers in sampled:
        _, trace, parent, _ = headers["traceparent"].split("-")
        assert spans[parent].trace_id.hex() == trace
        assert attributes_of(spans[parent].attributes)["pointsman.provider"] == "own"
    assert len(sampled) == len(told) - 1
    (unsampled,) = (headers for headers in told if headers["traceparent"].endswith("-00"))
    assert unsampled["traceparent"].split("-")[1] == UNSAMPLED.split("-")[1]
    assert ("a=b", "team=x") in {(headers.get("tracestate"), headers.get("baggage")) for headers in told}
    for received in seen.vendor:
        assert not {"traceparent", "tracestate", "baggage"} & received.headers.keys()


def test_attributes_are_the_conventions_own_or_carry_our_name(seen: Seen) -> None:
    for span in seen.spans:
        for name in attributes_of(span.attributes):
            assert name in CONVENTIONS or name.startswith("pointsman."), name
        operation, model = span.name.split(" ")
        assert operation in {"chat", "generate_content"}
        assert model in {"chat", "local", "alpha-1", "beta-1"}
    call = next(call for call in seen.calls() if len(seen.attempts(call)) == 1)
    (attempt,) = seen.attempts(call)
    found = attributes_of(attempt.attributes)
    record = seen.records[0]
    assert record.usage is not None
    assert attempt.name == "chat alpha-1"
    assert found | {"server.port": 0, "pointsman.cost_usd": ""} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vendor",
        "gen_ai.request.model": "alpha-1",
        "gen_ai.request.stream": False,
        "gen_ai.usage.input_tokens": record.usage.input_tokens,
        "gen_ai.usage.output_tokens": record.usage.output_tokens,
        "server.address": "127.0.0.1",
        "server.port": 0,
        "http.response.status_code": 200,
        "pointsman.model": "alpha",
        "pointsman.provider": "vendor",
        "pointsman.outcome": "ok",
        "pointsman.reason": "primary",
        "pointsman.cost_usd": "",
    }
    assert attributes_of(call.attributes)["pointsman.call.id"] == record.id
    assert attributes_of(call.attributes)["gen_ai.agent.name"] == "tester"


def test_a_failure_is_an_error_with_its_type(seen: Seen) -> None:
    failed = [span for span in seen.spans if "error.type" in attributes_of(span.attributes)]
    assert {span.status.code for span in failed} == {Status.STATUS_CODE_ERROR}
    assert "overloaded" in {attributes_of(span.attributes)["error.type"] for span in failed}
    assert all(span.status.code == Status.STATUS_CODE_UNSET for span in seen.spans if span not in failed)
    assert not any(span.status.message for span in seen.spans)


def test_a_stream_says_when_its_first_token_came(seen: Seen) -> None:
    (streamed,) = (span for span in seen.spans if span.events)
    found = attributes_of(streamed.attributes)
    assert found["gen_ai.request.stream"] is True
    first = streamed.events[0].time_unix_nano - streamed.start_time_unix_nano
    assert first == pytest.approx(found["gen_ai.response.time_to_first_chunk"] * 1e9, abs=2)


def test_the_resource_is_named_and_the_environment_adds_to_it(seen: Seen) -> None:
    for resource in resources_in(seen.collector):
        assert resource["service.name"] == "pointsman-sidecar"
        assert resource["service.instance.id"] == seen.records[0].sidecar
        assert resource["deployment.environment.name"] == "test"


def test_metrics_are_the_conventions_own_with_their_units_and_bounds(seen: Seen) -> None:
    metrics = metrics_in(seen.collector)
    known = {value for name, value in vars(gen_ai_metrics).items() if name.isupper()}
    assert {name for name in metrics if not name.startswith("pointsman.")} <= known
    duration, tokens = metrics["gen_ai.client.operation.duration"], metrics["gen_ai.client.token.usage"]
    assert (duration.unit, tokens.unit) == ("s", "{token}")
    attempts = sum(len(record.attempts) for record in seen.records)
    assert sum(point.count for point in duration.histogram.data_points) == attempts
    assert list(duration.histogram.data_points[0].explicit_bounds) == [0.01 * 2**power for power in range(14)]
    assert list(tokens.histogram.data_points[0].explicit_bounds) == [4.0**power for power in range(14)]
    kinds = {attributes_of(point.attributes)["gen_ai.token.type"] for point in tokens.histogram.data_points}
    assert kinds == {"input", "output"}
    spent = sum(float(record.cost_usd or 0) + float(record.wasted_usd) for record in seen.records)
    assert sum(point.as_double for point in metrics["pointsman.cost"].sum.data_points) == pytest.approx(spent)
    served = metrics["gen_ai.server.request.duration"].histogram.data_points
    assert sum(point.count for point in served) == len(seen.records)


def test_the_log_has_one_line_for_each_call_and_every_line_is_json(seen: Seen) -> None:
    lines: list[Mapping[str, Any]] = [json.loads(line) for line in seen.log.splitlines()]
    finished = {line["id"]: line for line in lines if line.get("event") == "call.finished"}
    assert sorted(finished) == sorted(record.id for record in seen.records)
    assert len(finished) == sum(line.get("event") == "call.finished" for line in lines)
    for record in seen.records:
        line = finished[record.id]
        assert (line["outcome"], line["use_case"], line["agent"]) == (record.outcome, record.use_case, "tester")
        assert line["attempts"] == len(record.attempts)
        assert line.get("cost_usd") == (None if record.cost_usd is None else f"{record.cost_usd.normalize():f}")
    assert {line.get("trace_id") for line in finished.values()} >= {TRACE}
    assert all({"time", "level"} <= line.keys() for line in lines)


def test_a_collector_that_is_gone_holds_up_neither_calls_nor_the_end(start_sidecar: StartSidecar) -> None:
    with refusing_port() as port:
        rules = bundles.bundle({}, {}, {})
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "10"}
        sidecar = start_sidecar(rules, environment=environment, options=["--otel", "on"])
        assert wire.post(f"{sidecar.url}/v1/chat/completions", HELLO).status == 404
        assert sidecar.stop() == 0


def test_no_key_no_prompt_and_no_answer_stands_in_what_is_told(seen: Seen) -> None:
    assert all(PLANTED.encode() in received.body for received in (*seen.vendor, *seen.own))
    assert seen.vendor[0].headers["authorization"] == f"Bearer {VENDOR_KEY}"
    told = b"".join(received.body for received in seen.collector)
    assert told
    for where, text in [("otlp", repr(told)), ("log", seen.log), ("output", seen.output), ("metrics", seen.metrics)]:
        assert PLANTED not in text, where
    assert PLANTED not in repr(seen.records)
