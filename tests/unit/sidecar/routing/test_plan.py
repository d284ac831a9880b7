"""The plan: which targets in which order and why, and every one that was skipped with its reason."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas.bundle import Ceiling, HardCeiling, Requirements, Rule, Share, Tier, TokenRange, When
from sidecar.errors import NotAllowed, UnknownTarget
from sidecar.routing.facts import Facts
from sidecar.routing.plan import Plan, Spend, estimate_usd, is_outgrown, plan, plan_pinned
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
    facts: dict[str, Any] | None = None,
    *,
    resting: Any = (),
    spend: Spend | None = None,
    answered_by: str | None = None,
    **rules: Any,
) -> Plan:
    snapshot = bundles.snapshot(**{"models": MODELS, **rules})
    use_case = snapshot.use_cases["chat"]
    down = dict.fromkeys(resting, "breaker_open")
    return plan(use_case, Facts(**(facts or {})), resting=down, spend=spend or Spend(), at=AT, answered_by=answered_by)


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
    known = [target.price_on(day) for day in ("2025-12-31", "2026-11-30", "2026-12-01")]
    estimates = [price and estimate_usd(price, 1_000_000, 500_000) for price in known]
    assert estimates == [None, Decimal("1.5"), Decimal("13.5")]


@pytest.mark.parametrize(("input_tokens", "expected"), [(200_000, "long@one"), (200_001, "cheap@one")])
def test_a_ceiling_expects_the_price_of_a_long_input(input_tokens: int, expected: str) -> None:
    """0.40 up to the bound and 0.80 beyond it, before any output."""
    tiers = (Tier(above_input_tokens=200_000, input=Decimal(4), output=Decimal(4)),)
    long = bundles.model("one", window=1_000_000, prices=(bundles.price("2", "2", tiers=tiers),))
    cheap = bundles.model("one", window=1_000_000, prices=(bundles.price("1", "1"),))
    made = planned(
        {"input_tokens": input_tokens, "max_output_tokens": 1},
        models={"long": long, "cheap": cheap},
        chain=["long"],
        ceiling=Ceiling(per_request=Decimal("0.5"), then=("cheap",)),
    )
    assert steps(made)[0][0] == expected


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


def share(model: str, percent: str = "100") -> Share:
    return Share(model=model, percent=Decimal(percent))


@pytest.mark.parametrize(
    ("chain", "facts", "options", "expected", "skipped", "arm", "propensity"),
    [
        (["beta"], {}, {"canary": share("alpha")},
         [("alpha@one", "canary"), ("alpha@two", "fallback"), ("beta@two", "fallback")], [], "alpha", 1.0),
        (["beta", "alpha"], {}, {"canary": share("alpha")},
         [("alpha@one", "canary"), ("alpha@two", "fallback"), ("beta@two", "fallback")], [], "alpha", 1.0),
        (["beta"], {}, {"split": (share("alpha"),)},
         [("alpha@one", "split"), ("alpha@two", "fallback"), ("beta@two", "fallback")], [], "alpha", 1.0),
        # An arm that cannot take the call has no lot: the chain answers, and that is no choice.
        (["alpha"], {"needs": frozenset({"vision"})}, {"canary": share("blind")},
         [("alpha@one", "primary"), ("alpha@two", "fallback")], [("blind@one", "capability.vision")], "", None),
        (["alpha"], {"input_tokens": 1_001}, {"canary": share("beta", "60")},
         [("alpha@one", "primary"), ("alpha@two", "fallback")], [("beta@two", "context_window")], "", None),
        (["cheap"], {}, {"split": (share("beta"),), "resting": ["two"]},
         [("cheap@one", "primary")], [("beta@two", "breaker_open")], "", None),
        (["cheap"], {}, {"canary": share("dear"), "ceiling": Ceiling(per_request=Decimal("0.5"))},
         [("cheap@one", "primary")], [("dear@one", "cost_ceiling.per_request")], "", None),
        # What a canary would cost is no reason to take the chain elsewhere.
        (["beta"], {}, {"canary": share("dear"), "ceiling": Ceiling(per_request=Decimal("0.5"), then=("cheap",))},
         [("beta@two", "primary")], [("dear@one", "cost_ceiling.per_request")], "", None),
        (["alpha"], {}, {"canary": share("blind"), "requires": Requirements(capabilities=("vision",))},
         [("alpha@one", "primary"), ("alpha@two", "fallback")], [("blind@one", "capability.vision")], "", None),
        # One door of an arm rests, the other answers.
        (["beta"], {}, {"canary": share("alpha"), "resting": ["alpha@one"]},
         [("alpha@two", "fallback"), ("beta@two", "fallback")], [("alpha@one", "breaker_open")], "alpha", 1.0),
        # What a rule takes draws by the rule's own split alone.
        (["beta"], {"input_tokens": 101}, {"canary": share("blind"), "rules": (LARGE,)},
         [("cheap@one", "rules[0]"), ("alpha@one", "fallback"), ("alpha@two", "fallback")], [], "", None),
        (["beta"], {"input_tokens": 101},
         {"rules": (Rule(when=LARGE.when, chain=("cheap",), split=(share("blind"),)),)},
         [("blind@one", "split"), ("cheap@one", "fallback")], [], "blind", 1.0),
        # A door that can never serve is told once, though chain and canary both name its model.
        (["beta", "blind"], {}, {"canary": share("blind"), "requires": Requirements(capabilities=("vision",)),
                                 "ceiling": Ceiling(per_day=ONE, then=("cheap",)), "spend": Spend(ONE, ONE)},
         [("cheap@one", "cost_ceiling.per_day")],
         [("blind@one", "capability.vision"), ("beta@two", "cost_ceiling.per_day")], "", None),
        # A spent ceiling leaves no choice.
        (["dear"], {}, {"canary": share("alpha"), "ceiling": Ceiling(per_day=ONE, then=("cheap",)),
                        "spend": Spend(ONE, ONE)},
         [("cheap@one", "cost_ceiling.per_day")], [("dear@one", "cost_ceiling.per_day")], "", None),
    ],
)  # fmt: skip
def test_an_arm_goes_before_its_chain(
    chain: list[str],
    facts: dict[str, Any],
    options: dict[str, Any],
    expected: list[Any],
    skipped: list[Any],
    arm: str,
    propensity: float | None,
) -> None:
    made = planned({**facts, "conversation": "c"}, chain=chain, **options)
    assert steps(made) == expected
    assert skips(made) == skipped
    assert (made.arm, made.propensity, made.conversation) == (arm, propensity, "c")


def test_without_a_conversation_to_ask_about_no_lot_is_drawn() -> None:
    made = planned(chain=["beta"], canary=share("alpha"))
    assert (steps(made), made.arm, made.propensity) == ([("beta@two", "primary")], "", None)


@pytest.mark.parametrize(
    ("answered_by", "options", "expected"),
    [
        (None, {}, ["alpha@one primary", "alpha@two fallback", "beta@two fallback"]),
        ("alpha@one", {}, ["alpha@one primary", "alpha@two fallback", "beta@two fallback"]),
        ("alpha@two", {}, ["alpha@two sticky", "alpha@one primary", "beta@two fallback"]),
        ("beta", {}, ["beta@two sticky", "alpha@one primary", "alpha@two fallback"]),
        # Never against the rules, and never to a target that is skipped.
        ("cheap@one", {}, ["alpha@one primary", "alpha@two fallback", "beta@two fallback"]),
        ("gone@one", {}, ["alpha@one primary", "alpha@two fallback", "beta@two fallback"]),
        ("beta@two", {"resting": ["beta"]}, ["alpha@one primary", "alpha@two fallback"]),
        ("beta@two", {"facts": {"input_tokens": 1_001}}, ["alpha@one primary", "alpha@two fallback"]),
        ("beta@two", {"facts": {"input_tokens": 101}, "rules": (LARGE,)},
         ["cheap@one rules[0]", "alpha@one fallback", "alpha@two fallback"]),
        ("alpha@two", {"facts": {"input_tokens": 101}, "rules": (LARGE,)},
         ["alpha@two sticky", "cheap@one rules[0]", "alpha@one fallback"]),
        ("beta@two", {"ceiling": Ceiling(per_day=ONE, then=("cheap",)), "spend": Spend(ONE, ONE)},
         ["cheap@one cost_ceiling.per_day"]),
        # A canary that failed: the conversation stays where it went.
        ("beta@two", {"canary": share("cheap"), "facts": {"conversation": "c"}},
         ["beta@two sticky", "cheap@one canary", "alpha@one fallback", "alpha@two fallback"]),
        # A canary that the rules no longer have.
        ("blind@one", {"canary": share("cheap"), "facts": {"conversation": "c"}},
         ["cheap@one canary", "alpha@one fallback", "alpha@two fallback", "beta@two fallback"]),
    ],
)  # fmt: skip
def test_a_sticky_conversation_stays_where_it_was_answered_if_the_plan_has_it(
    answered_by: str | None, options: dict[str, Any], expected: list[str]
) -> None:
    made = planned(chain=["alpha", "beta"], sticky=True, answered_by=answered_by, **options)
    assert [" ".join(step) for step in steps(made)] == expected


def test_a_use_case_that_is_not_sticky_forgets() -> None:
    assert steps(planned(chain=["alpha", "beta"], answered_by="beta@two"))[0] == ("alpha@one", "primary")


@pytest.mark.parametrize(
    ("model", "too_long_for", "expected"),
    [
        ("alpha", [], False),
        ("alpha", ["beta"], False),
        ("alpha", ["alpha"], True),
        ("alpha", ["cheap"], True),
        ("beta", ["alpha"], True),
        ("alpha", ["beta", "alpha"], True),
    ],
)
def test_a_context_that_was_too_long_goes_to_larger_windows_alone(
    model: str, too_long_for: list[str], expected: bool
) -> None:
    targets = bundles.snapshot(models=MODELS).targets
    assert is_outgrown(targets[model][0], [targets[name][0] for name in too_long_for]) is expected


def test_a_refusal_tells_each_target_once() -> None:
    requires = Requirements(capabilities=("vision",))
    ceiling = Ceiling(per_day=ONE)
    spent = Spend(ONE, ONE)
    made = planned(chain=["beta", "blind"], canary=share("blind"), requires=requires, ceiling=ceiling, spend=spent)
    assert made.refusal == "cost_ceiling.per_day"
    assert skips(made) == [("blind@one", "capability.vision"), ("beta@two", "cost_ceiling.per_day")]
