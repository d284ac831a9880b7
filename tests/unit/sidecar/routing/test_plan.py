"""The plan: which targets in which order and why, and every one that was skipped with its reason."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas.bundle import Ceiling, HardCeiling, Price, Requirements, Rule, TokenRange, When
from sidecar.errors import NotAllowed, UnknownTarget
from sidecar.routing.facts import Facts
from sidecar.routing.plan import Plan, Spend, estimate_usd, plan, plan_pinned
from tests.fakes import core_bundles as bundles

AT = datetime(2026, 11, 1, tzinfo=UTC)
CHEAP, DEAR = bundles.price("0.1", "0.1"), bundles.price("1000", "1000")
MODELS = {
    "alpha": bundles.model("one", "two"),
    "beta": bundles.model("two", window=1_000),
    "blind": bundles.model("one", capabilities=("tools",)),
    "cheap": bundles.model("one", prices=(CHEAP,)),
    "dear": bundles.model("one", prices=(DEAR,)),
    "unpriced": bundles.model("one", prices=()),
}


def planned(
    facts: dict[str, Any] | None = None, *, resting: Any = (), spend: Spend | None = None, **rules: Any
) -> Plan:
    snapshot = bundles.snapshot(models=MODELS, **rules)
    use_case = snapshot.use_cases["chat"]
    down = dict.fromkeys(resting, "breaker_open")
    return plan(use_case, Facts(**(facts or {})), resting=down, spend=spend or Spend(), at=AT)


def steps(made: Plan) -> list[tuple[str, str]]:
    return [(step.target.key, step.reason) for step in made.steps]


def skips(made: Plan) -> list[tuple[str, str]]:
    return [(f"{item.model}@{item.provider}", item.reason) for item in made.skipped]


LARGE = Rule(when=When(input_tokens=TokenRange(over=100)), chain=("cheap", "alpha"))


@pytest.mark.parametrize(
    ("chain", "facts", "options", "expected", "skipped"),
    [
        (
            ["alpha", "beta"], {}, {},
            [("alpha@one", "primary"), ("alpha@two", "fallback"), ("beta@two", "fallback")], [],
        ),
        (["beta", "alpha"], {"input_tokens": 1_001}, {},
         [("alpha@one", "fallback"), ("alpha@two", "fallback")], [("beta@two", "context_window")]),
        (["blind", "beta"], {"needs": frozenset({"vision"})}, {},
         [("beta@two", "fallback")], [("blind@one", "capability.vision")]),
        (["alpha", "beta"], {}, {"resting": ["alpha@one"]},
         [("alpha@two", "fallback"), ("beta@two", "fallback")], [("alpha@one", "breaker_open")]),
        (["alpha", "beta"], {}, {"resting": ["two"]},
         [("alpha@one", "primary")], [("alpha@two", "breaker_open"), ("beta@two", "breaker_open")]),
        (["alpha", "beta"], {}, {"resting": ["alpha"]},
         [("beta@two", "fallback")], [("alpha@one", "breaker_open"), ("alpha@two", "breaker_open")]),
        (["beta"], {"input_tokens": 101}, {"rules": (LARGE,)},
         [("cheap@one", "rules[0]"), ("alpha@one", "fallback"), ("alpha@two", "fallback")], []),
        (["beta"], {"input_tokens": 100}, {"rules": (LARGE,)}, [("beta@two", "primary")], []),
        (["beta", "blind"], {}, {"requires": Requirements(capabilities=("vision",))},
         [("beta@two", "primary")], [("blind@one", "capability.vision")]),
        (["beta"], {}, {"requires": Requirements(regions=("eu",))}, [], [("beta@two", "region")]),
        (["beta"], {}, {"requires": Requirements(zero_retention=True)}, [], [("beta@two", "zero_retention")]),
        (["beta", "beta"], {}, {}, [("beta@two", "primary")], []),
    ],
)  # fmt: skip
def test_the_order_and_the_reasons(
    chain: list[str], facts: dict[str, Any], options: dict[str, Any], expected: list[Any], skipped: list[Any]
) -> None:
    made = planned(facts, chain=chain, **options)
    assert steps(made) == expected
    assert skips(made) == skipped
    assert made.refusal is None


ONE = Decimal(1)


@pytest.mark.parametrize(
    ("ceiling", "spend", "expected", "skipped", "refusal"),
    [
        (Ceiling(per_day=ONE), Spend(Decimal("0.99"), ONE),
         [("dear@one", "primary"), ("beta@two", "fallback")], [], None),
        (Ceiling(per_day=ONE), Spend(ONE, ONE), [],
         [("dear@one", "cost_ceiling.per_day"), ("beta@two", "cost_ceiling.per_day")], "cost_ceiling.per_day"),
        (Ceiling(per_month=ONE, then=("cheap",)), Spend(ONE, ONE), [("cheap@one", "cost_ceiling.per_month")],
         [("dear@one", "cost_ceiling.per_month"), ("beta@two", "cost_ceiling.per_month")], None),
        (Ceiling(per_day=ONE, then=("beta",)), Spend(ONE, ONE), [("beta@two", "cost_ceiling.per_day")],
         [("dear@one", "cost_ceiling.per_day")], None),
        (Ceiling(per_day=ONE, then=("cheap",), hard=HardCeiling(per_day=ONE * 2)), Spend(ONE, ONE),
         [("cheap@one", "cost_ceiling.per_day")],
         [("dear@one", "cost_ceiling.per_day"), ("beta@two", "cost_ceiling.per_day")], None),
        (Ceiling(per_day=ONE, then=("cheap",), hard=HardCeiling(per_day=ONE * 2)), Spend(ONE * 2, ONE), [],
         [("dear@one", "cost_ceiling.hard.per_day"), ("beta@two", "cost_ceiling.hard.per_day")],
         "cost_ceiling.hard.per_day"),
        (Ceiling(hard=HardCeiling(per_month=ONE)), Spend(ONE, ONE), [],
         [("dear@one", "cost_ceiling.hard.per_month"), ("beta@two", "cost_ceiling.hard.per_month")],
         "cost_ceiling.hard.per_month"),
        (Ceiling(per_request=Decimal("0.5")), Spend(), [("beta@two", "fallback")],
         [("dear@one", "cost_ceiling.per_request")], None),
        (Ceiling(per_request=Decimal("0.001")), Spend(), [],
         [("dear@one", "cost_ceiling.per_request"), ("beta@two", "cost_ceiling.per_request")],
         "cost_ceiling.per_request"),
        (Ceiling(per_request=Decimal("0.001"), then=("dear", "cheap")), Spend(),
         [("cheap@one", "cost_ceiling.per_request")],
         [("dear@one", "cost_ceiling.per_request"), ("beta@two", "cost_ceiling.per_request")], None),
    ],
)  # fmt: skip
def test_ceilings(ceiling: Ceiling, spend: Spend, expected: list[Any], skipped: list[Any], refusal: str | None) -> None:
    made = planned({"max_output_tokens": 1_000}, chain=["dear", "beta"], ceiling=ceiling, spend=spend)
    assert steps(made) == expected
    assert skips(made) == skipped
    assert made.refusal == refusal


def test_a_price_that_is_unknown_holds_no_target_back() -> None:
    made = planned(chain=["unpriced"], ceiling=Ceiling(per_request=Decimal("0.0000001")))
    assert steps(made) == [("unpriced@one", "primary")]


def test_the_price_of_the_day_counts() -> None:
    prices = (bundles.price("9", "9", since="2026-12-01"), bundles.price("1", "1", since="2026-01-01"))
    target = bundles.snapshot(models={"alpha": bundles.model("one", prices=prices)}, chain=["alpha"]).targets["alpha"][
        0
    ]
    known: list[Price | None] = [target.price_on(day) for day in ("2025-12-31", "2026-11-30", "2026-12-01")]
    assert [price and price.input for price in known] == [None, 1, 9]
    assert estimate_usd(prices[0], 1_000_000, 500_000) == Decimal("13.5")


@pytest.mark.parametrize(("wanted", "key"), [("alpha", "alpha@one"), ("alpha@two", "alpha@two")])
def test_a_pinned_target_is_the_only_one(wanted: str, key: str) -> None:
    snapshot = bundles.snapshot(models=MODELS)
    made = plan_pinned(snapshot, snapshot.use_cases["chat"], wanted)
    assert steps(made) == [(key, "pinned")]


@pytest.mark.parametrize("wanted", ["", "@", "@one", "alpha@", "alpha@three", "nothing"])
def test_a_pin_to_nothing_is_said_with_what_there_is(wanted: str) -> None:
    snapshot = bundles.snapshot(models=MODELS)
    with pytest.raises(UnknownTarget, match="alpha"):
        plan_pinned(snapshot, snapshot.use_cases["chat"], wanted)


def test_a_pin_does_not_lift_what_the_use_case_requires_of_its_data() -> None:
    providers = {"one": bundles.provider(regions=("us",)), "two": bundles.provider(regions=("eu",))}
    snapshot = bundles.snapshot(models=MODELS, providers=providers, requires=Requirements(regions=("eu",)))
    use_case = snapshot.use_cases["chat"]
    assert steps(plan_pinned(snapshot, use_case, "alpha@two")) == [("alpha@two", "pinned")]
    with pytest.raises(NotAllowed, match="region"):
        plan_pinned(snapshot, use_case, "alpha@one")
