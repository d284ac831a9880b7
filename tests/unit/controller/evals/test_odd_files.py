"""Whatever a file holds: rows or problems, and every report can be written of what was read."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.evals.arms import gather
from controller.evals.compare import compare
from controller.evals.decision import Decision
from controller.evals.judged import judging_in
from controller.evals.read import PARSERS, parse_results
from controller.evals.report_html import as_html
from controller.evals.report_json import as_json
from controller.evals.report_markdown import as_markdown, as_text

NAMES = (*PARSERS, "status", "cost_usd", "scores", "grader_versions", "other")
LIKELY = st.sampled_from(
    [0, 1, True, False, None, "C", "I", "", "1", "0.5", "true", -1, 0.25, "$0.01", "ok", "timeout", 7, "2"]
)
ANY = st.one_of(
    LIKELY,
    st.text(max_size=6),
    st.floats(),
    st.integers(),
    st.integers(min_value=10**300, max_value=10**330),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.one_of(LIKELY, st.text(max_size=3)), max_size=2),
)
CELLS = st.fixed_dictionaries({"sample_id": st.integers(0, 12), "success": LIKELY})
RECORDS = st.builds(
    lambda needed, more: more | needed,
    CELLS,
    st.dictionaries(st.sampled_from(NAMES), st.one_of(LIKELY, ANY), max_size=5),
)


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_problems(data: bytes) -> None:
    found = parse_results(data, "f", default_model="m")
    assert found.rows or found.problems


@given(st.lists(st.one_of(ANY, st.dictionaries(st.text(max_size=8), ANY, max_size=4)), max_size=5))
def test_any_json_is_rows_or_problems(values: list[Any]) -> None:
    for text in (json.dumps(values), "\n".join(map(json.dumps, values))):
        found = parse_results(text.encode(), "f", default_model="m")
        assert found.rows or found.problems


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(RECORDS, min_size=1, max_size=25), st.lists(RECORDS, min_size=1, max_size=25))
def test_every_report_can_be_written_of_what_was_read(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    files = [parse_results(json.dumps(rows).encode(), "f", default_model="m") for rows in (old, new)]
    arms = [gather(f"m{index}", found.rows) for index, found in enumerate(files)]
    rows = [row for found in files for row in found.rows]
    asked = Decision(
        min_samples=1, accepted=frozenset({"L1", "L4", "L7", "L8"}), floor=0.1, ceiling_usd=1, max_latency_ratio=2
    )
    found = compare(
        arms[0], arms[1], asked, others=[gather("m2", rows)], judging=judging_in(rows), checker="a", resamples=50
    )
    for text in (as_text(found), as_markdown(found), as_html(found), json.dumps(as_json(found), allow_nan=False)):
        assert text.encode()
