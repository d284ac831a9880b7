"""Whether a trial goes on, waits or is taken back, and who is on trial."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.rollout import (
    Advance,
    Arms,
    Figures,
    Hold,
    RollBack,
    Verdict,
    affected_use_cases,
    percent_for,
    removed_use_cases,
    verdict,
)
from schemas.bundle import Bundle, Caller, QualityBar, UseCase

MIN_CALLS = 200
USUAL = Figures(
    calls=1000, errors=10, refusals=5, fallbacks=20, priced=1000, cost_usd=Decimal("1.00"), slow_seconds=1.0
)


def of_trial(**changes: object) -> Figures:
    return replace(USUAL, **changes)  # type: ignore[arg-type]


def judge(trial: Figures, control: Figures = USUAL, *, seconds_left: float = 0.0) -> Verdict:
    return verdict(
        {"support": Arms(trial, control)}, affected=("support",), rejected_by=(), min_calls=MIN_CALLS,
        seconds_left=seconds_left,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("trial", "says"),
    [
        (of_trial(errors=30), "support: errors of 3.0% of the calls, 1.0% beside it"),
        (of_trial(calls=200, errors=100, fallbacks=4, refusals=1), "errors of 50.0%"),
        (of_trial(fallbacks=80), "fallbacks of 8.0% of the calls, 2.0% beside it"),
        (of_trial(refusals=60), "refusals of 6.0%"),
        (of_trial(cost_usd=Decimal("1.60")), "a call costs 0.001600 USD, 0.001000 beside it"),
        (of_trial(slow_seconds=1.6), "95 % answer within 1.60 s, 1.00 s beside it"),
        # Half of the calls fail: thirty are enough to see it, and nobody waits for two hundred.
        (of_trial(calls=30, errors=15, fallbacks=0, refusals=0), "errors of 50.0%"),
        (
            of_trial(calls=40, errors=0, fallbacks=0, refusals=0, priced=40, cost_usd=Decimal("0.20")),
            "a call costs 0.005000",
        ),
    ],
)
def test_what_got_worse_beyond_chance_is_taken_back_while_it_bakes_still(trial: Figures, says: str) -> None:
    decided = judge(trial, seconds_left=100.0)
    assert isinstance(decided, RollBack)
    assert says in decided.reason


@pytest.mark.parametrize(
    "trial",
    [
        of_trial(),
        of_trial(errors=18),  # within chance
        of_trial(errors=0, fallbacks=0, refusals=0, cost_usd=Decimal("0.10"), slow_seconds=0.1),  # better
        of_trial(cost_usd=Decimal("1.40")),
        of_trial(slow_seconds=1.4),
        of_trial(slow_seconds=None),
    ],
)
def test_what_is_as_good_goes_on_once_it_has_baked(trial: Figures) -> None:
    assert judge(trial) == Advance()
    assert judge(trial, seconds_left=60.0) == Hold("the bake: 60 s")


def test_a_few_hundredths_of_a_second_are_no_regression() -> None:
    assert judge(of_trial(slow_seconds=0.03), of_trial(slow_seconds=0.01)) == Advance()


@pytest.mark.parametrize(
    ("trial", "control"), [(of_trial(calls=199, errors=2, fallbacks=4), USUAL), (USUAL, of_trial(calls=10))]
)
def test_with_too_few_calls_on_either_side_it_holds_however_long(trial: Figures, control: Figures) -> None:
    decided = judge(trial, control, seconds_left=-86_400.0)
    assert isinstance(decided, Hold)
    assert "200 needed" in decided.waits_for


def test_without_any_call_it_holds_however_long() -> None:
    decided = verdict({}, affected=("support",), rejected_by=(), min_calls=MIN_CALLS, seconds_left=-86_400.0)
    assert decided == Hold("calls: none of the use cases that it changes was called")


def test_one_use_case_s_calls_do_not_speak_for_another_s() -> None:
    few = Arms(of_trial(calls=3, errors=0, fallbacks=0, refusals=0), USUAL)
    figures = {"a": Arms(USUAL, USUAL), "b": few, "unrelated": Arms(of_trial(errors=900), USUAL)}
    common = {"rejected_by": (), "min_calls": MIN_CALLS, "seconds_left": 0.0}
    assert isinstance(verdict(figures, affected=("a", "b"), **common), Hold)  # type: ignore[arg-type]
    assert verdict(figures, affected=("a", "never-called"), **common) == Advance()  # type: ignore[arg-type]


def test_a_sidecar_that_will_not_run_it_ends_it_at_once() -> None:
    decided = verdict({}, affected=("support",), rejected_by=("pod-1", "pod-2"), min_calls=MIN_CALLS, seconds_left=60.0)
    assert decided == RollBack("pod-1 does not run it (2 in all)")


@given(st.integers(0, 5000), st.integers(0, 5000), st.floats(-1e6, 1e6))
def test_nothing_is_promoted_without_the_calls_it_needs(trial: int, control: int, left: float) -> None:
    figures = Figures(calls=trial), Figures(calls=control)
    if judge(*figures, seconds_left=left) == Advance():
        assert min(trial, control) >= MIN_CALLS
        assert left <= 0


@pytest.mark.parametrize(("stage", "sidecars", "on_trial"), [
    (1, 4, 1), (1, 20, 3), (1, 1000, 10), (10, 50, 5), (50, 20, 10), (99, 4, 3), (1, 2, 1),
])  # fmt: skip
def test_a_stage_has_some_sidecars_on_either_side(stage: int, sidecars: int, on_trial: int) -> None:
    lots = [number * 7 % 9973 for number in range(1, sidecars + 1)]
    percent = percent_for(stage, lots)
    assert sum(lot < round(percent * 100) for lot in lots) == on_trial


def test_with_nobody_known_a_stage_is_what_it_says() -> None:
    assert percent_for(10, []) == 10.0


class TestAffected:
    def test_a_revision_that_changes_no_words_affects_nobody(self, make_bundle: Callable[..., Bundle]) -> None:
        assert affected_use_cases(make_bundle("r1"), make_bundle("r2")) == ()

    def test_what_a_use_case_may_meet_counts_and_what_it_never_meets_does_not(
        self, make_bundle: Callable[..., Bundle]
    ) -> None:
        before = make_bundle("r1")
        other = msgspec.structs.replace(before.models["m"], context_window=5)
        use_cases = before.use_cases | {"other": UseCase(owner="o", chain=("n",))}
        before = msgspec.structs.replace(before, models=before.models | {"n": other}, use_cases=use_cases)
        model = msgspec.structs.replace(other, context_window=6)
        assert affected_use_cases(before, msgspec.structs.replace(before, models=before.models | {"n": model})) == (
            "other",
        )
        provider = msgspec.structs.replace(before.providers["p"], base_url="https://example.org")
        assert affected_use_cases(before, msgspec.structs.replace(before, providers={"p": provider})) == (
            "other", "support",
        )  # fmt: skip

    def test_a_new_use_case_takes_nothing_from_those_that_were(self, make_bundle: Callable[..., Bundle]) -> None:
        before = make_bundle("r1")
        more = msgspec.structs.replace(before, use_cases=before.use_cases | {"other": UseCase(owner="o", chain=("m",))})
        assert affected_use_cases(before, more) == ()

    def test_whoever_may_call_concerns_all(self, make_bundle: Callable[..., Bundle]) -> None:
        before = make_bundle("r1")
        after = msgspec.structs.replace(before, callers=(Caller(name="bot", key_sha256="0"),))
        assert affected_use_cases(before, after) == ("support",)

    def test_the_models_of_a_quality_bar_are_met_too(self, make_bundle: Callable[..., Bundle]) -> None:
        before = make_bundle("r1")
        barred = msgspec.structs.replace(before.use_cases["support"], bar=QualityBar(checks=("complete",), then=("n",)))
        models = before.models | {"n": before.models["m"]}
        before = msgspec.structs.replace(before, models=models, use_cases={"support": barred})
        other = msgspec.structs.replace(models["n"], context_window=6)
        after = msgspec.structs.replace(before, models=models | {"n": other})
        assert affected_use_cases(before, after) == ("support",)

    def test_a_name_that_is_an_alias_now_is_not_removed(self, make_bundle: Callable[..., Bundle]) -> None:
        before = make_bundle("r1")
        old = before.use_cases["support"]
        renamed = {"help": msgspec.structs.replace(old, aliases=("supp*",))}
        assert removed_use_cases(before, msgspec.structs.replace(before, use_cases=renamed)) == ()
        assert removed_use_cases(before, msgspec.structs.replace(before, use_cases={"help": old})) == ("support",)


def test_what_is_removed_ends_the_trial_when_others_still_call_it_and_passes_after_its_bake_otherwise() -> None:
    common = {"affected": (), "removed": ("support",), "rejected_by": (), "min_calls": MIN_CALLS}
    called = {"support": Arms(control=Figures(calls=1))}
    decided = verdict(called, **common, seconds_left=60.0)  # type: ignore[arg-type]
    assert decided == RollBack("support: it is gone, and 1 calls of it were made beside it")
    assert isinstance(verdict({}, **common, seconds_left=60.0), Hold)  # type: ignore[arg-type]
    assert verdict({}, **common, seconds_left=-1.0) == Advance()  # type: ignore[arg-type]
