"""Log lines as JSON."""

import json
import logging
import sys
from decimal import Decimal

from schemas.record import AttemptRecord
from sidecar.telemetry.json_lines import CallLog, JsonLines, call_fields
from tests.fakes.records import record


def line_of(message: str, *args: object, **more: object) -> dict[str, object]:
    made = logging.LogRecord("pointsman", logging.WARNING, "f.py", 1, message, args, None)
    for name, value in more.items():
        setattr(made, name, value)
    return dict(json.loads(JsonLines().format(made)))


def test_our_own_lines_name_their_event() -> None:
    line = line_of("rules.refused error=%s", 'bad "quote"\nand a second line')
    assert (line["event"], line["level"]) == ("rules.refused", "warning")
    assert line["message"] == 'rules.refused error=bad "quote"\nand a second line'


def test_anybody_elses_line_is_a_message() -> None:
    line = line_of("Connection lost. Trying again")
    assert "event" not in line
    assert line["message"] == "Connection lost. Trying again"


def test_a_traceback_stays_inside_its_line() -> None:
    try:
        raise KeyError("x")
    except KeyError:
        line = line_of("call.crashed id=1", exc_info=sys.exc_info())
    assert "KeyError" in str(line["traceback"])


def test_a_calls_line_leaves_out_what_is_unknown() -> None:
    failed = AttemptRecord("beta", "two", "primary", "throttled", 0.1)
    fields = call_fields(record("pm-1", attempts=(failed, failed), cost_usd=None, wasted_usd=Decimal("0.010")))
    assert fields["failed"] == ["beta@two: throttled"] * 2
    assert fields["wasted_usd"] == "0.01"
    assert not {"cost_usd", "trace_id", "agent", "status"} & fields.keys()


def test_one_call_is_one_line() -> None:
    heard: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = heard.append  # type: ignore[method-assign]
    logger = logging.getLogger("pointsman.calls")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        CallLog().observe(record("pm-1"))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    (made,) = heard
    line = json.loads(JsonLines().format(made))
    assert (line["event"], line["id"], line["cost_usd"]) == ("call.finished", "pm-1", "0.1")
