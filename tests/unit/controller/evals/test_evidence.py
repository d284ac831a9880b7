"""Evidence says what its counts or results come to; whatever else it says is found."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from controller.evals.evidence import NoEvidence, Written, canonical, differences, write_evidence
from schemas.evidence_files import load_evidence
from schemas.rules.evidence import Evidence
from tests.unit.controller.evals.results import changed, compared, two_models

DAY = date(2026, 11, 23)
WRITTEN = {
    "superior": ((300, 40, 5, 55), {}),
    "promote": ((300, 4, 2, 94), {}),
    "too dear": ((300, 4, 2, 94), {"new_usd": "0.02"}),
    "inferior": ((200, 0, 100, 100), {"new_usd": "0.001"}),
    "few": ((30, 4, 2, 4), {}),
}


def written(counts: tuple[int, int, int, int], **fields: Any) -> Written:
    comparison = compared(two_models(*counts, **fields), floor=0.4)
    return write_evidence(comparison, use_case="chat", created=DAY, accepted_by={})


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_found_again(name: str) -> None:
    counts, fields = WRITTEN[name]
    made = written(counts, **fields)
    assert list(made.files) == [made.name]
    files = {f"use-cases/chat/evidence/{made.name}": made.files[made.name].decode()}
    read = load_evidence(files)
    assert read.problems == ()
    assert [file.content for file in read.by_use_case["chat"]] == [made.evidence]
    assert list(differences(made.evidence, None)) == []
    assert made.files == written(counts, **fields).files, "equal evidence, equal bytes"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("diff", 0.0051), ("interval", [-0.01, 0.03]), ("m_star", 0.5), ("mcnemar_p", 0.001), ("n", 401),
        ("clusters", 399), ("verdict", "superior"), ("action", "quality_fallback"), ("also", ["diversity_fallback"]),
        ("cost_ratio_interval", [0.5, 0.99]), ("guardrails", ["it refuses too much"]),
        ("counts", {"both": 300, "only_candidate": 4, "only_incumbent": 3, "neither": 93}),
    ],
)  # fmt: skip
def test_no_figure_can_be_another(key: str, value: object) -> None:
    made = written((300, 4, 2, 94))
    document = json.loads(made.files[made.name]) | {key: value}
    told = Evidence.model_validate(json.loads(json.dumps(document), parse_float=Decimal))
    assert list(differences(told, None))


def test_within_a_millionth_is_alike() -> None:
    made = written((300, 4, 2, 94))
    document = json.loads(made.files[made.name])
    document["diff"] += 4e-7
    assert not list(differences(Evidence.model_validate(json.loads(canonical(document), parse_float=Decimal)), None))


def test_what_counts_cannot_prove_keeps_its_results() -> None:
    rows = two_models(300, 4, 2, 94)
    graded = tuple(changed(arm, lambda i, row: {"success": row.success or (0.25 if i % 2 else 0.0)}) for arm in rows)
    made = write_evidence(compared((graded[0], graded[1])), use_case="chat", created=DAY, accepted_by={})
    name = made.evidence.results.file
    assert name is not None
    assert list(differences(made.evidence, made.files[name])) == []
    assert [key for key, _ in differences(made.evidence, made.files[name] + b"\n")] == ["results"]


def test_neither_counts_nor_results_prove_nothing() -> None:
    made = written((300, 4, 2, 94)).evidence
    assert list(differences(made.model_copy(update={"counts": None}), None))


def test_data_in_doubt_and_several_sets_are_no_evidence() -> None:
    old, new = two_models(300, 4, 2, 94)
    for rows in (
        (old, changed(new, lambda i, row: {"sample_id": f"other{i}"})),
        (old[:350], new),
        (changed(old, lambda i, row: {"set_hash": "a" * 16}), changed(new, lambda i, row: {"set_hash": "b" * 16})),
    ):
        with pytest.raises(NoEvidence):
            write_evidence(
                compared(rows, accepted=frozenset({"L6"})), use_case="chat", created=DAY, accepted_by={"L6": "team"}
            )
