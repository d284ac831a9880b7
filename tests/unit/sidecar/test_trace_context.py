"""W3C trace context: which traceparents count, and what a provider is told."""

import pytest

from sidecar.trace_context import as_it_came, encode_parent, parse_parent, span_id_of, trace_id_of, traceparent_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize("text", [GOOD, f"00-{TRACE}-{SPAN}-00", f"01-{TRACE}-{SPAN}-01", f"01-{TRACE}-{SPAN}-01-more"])
def test_a_valid_traceparent_is_kept_as_it_came(text: str) -> None:
    assert traceparent_of({"traceparent": text}) == text
    parent = parse_parent(text)
    assert parent is not None
    assert (f"{parent.trace_id:032x}", f"{parent.span_id:016x}") == (TRACE, SPAN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-a-key-that-went-astray",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01-{'x' * 200}",
        f"{GOOD}\n",
    ],
)
def test_any_other_text_is_no_trace_and_is_not_booked(text: str) -> None:
    assert traceparent_of({"traceparent": text}) == ""
    assert as_it_came("pm-1", {"traceparent": text, "baggage": "a=b"}, 0) == {}


def test_without_spans_of_ours_the_provider_continues_the_callers() -> None:
    headers = {"traceparent": GOOD, "tracestate": "v=1", "baggage": "a=b", "cookie": "c"}
    assert as_it_came("pm-1", headers, 3) == {"traceparent": GOOD, "tracestate": "v=1", "baggage": "a=b"}


def test_ids_follow_from_the_calls_own_and_differ_by_attempt() -> None:
    ids = {span_id_of("pm-1"), span_id_of("pm-1", 0), span_id_of("pm-1", 1), span_id_of("pm-2")}
    assert len(ids) == 4
    assert trace_id_of("pm-1") == trace_id_of("pm-1") != trace_id_of("pm-2")
    made = encode_parent(trace_id_of("pm-1"), span_id_of("pm-1", 0), 1)
    assert parse_parent(made) == (trace_id_of("pm-1"), span_id_of("pm-1", 0), 1)
