"""A use case narrowed to one model: which model depends on the rules alone."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas.bundle import Ceiling, Rule, Share, TokenRange, When
from sidecar.routing.facts import Facts
from sidecar.routing.plan import Spend, plan
from sidecar.routing.scope import OTHER_MODEL, one_model
from sidecar.routing.snapshot import Chain, UseCase
from tests.fakes import core_bundles as bundles

AT = datetime(2026, 11, 1, tzinfo=UTC)
SPOKEN = frozenset({"openai"})


def narrowed(*chain: str, **use_case: Any) -> UseCase:
    providers = {"one": bundles.provider(), "two": bundles.provider(), "far": bundles.provider(dialect="anthropic")}
    models = {
        "alpha": bundles.model("one", "two", capabilities=("embeddings",)),
        "beta": bundles.model("two", capabilities=("embeddings",)),
        "talker": bundles.model("one", capabilities=("tools",)),
        "foreign": bundles.model("far", capabilities=("embeddings",)),
        "mixed": bundles.model("far", "one", capabilities=("embeddings",)),
    }
    snapshot = bundles.snapshot(providers=providers, models=models, chain=chain, **use_case)
    return one_model(snapshot.use_cases["chat"], "embeddings", SPOKEN)


def kept(chain: Chain) -> list[str]:
    return [target.key for target in chain.targets]


@pytest.mark.parametrize(
    ("chain", "doors", "reasons"),
    [
        (("alpha", "beta"), ["alpha@one", "alpha@two"], [OTHER_MODEL]),
        (("beta", "alpha"), ["beta@two"], [OTHER_MODEL, OTHER_MODEL]),
        (("talker", "alpha"), ["alpha@one", "alpha@two"], ["capability.embeddings"]),
        (("foreign", "beta"), ["beta@two"], ["dialect"]),
        (("mixed", "beta"), ["mixed@one"], ["dialect", OTHER_MODEL]),
        (("talker",), [], ["capability.embeddings"]),
    ],
)
def test_the_first_model_that_can_keeps_its_doors(chain: tuple[str, ...], doors: list[str], reasons: list[str]) -> None:
    use_case = narrowed(*chain)
    assert kept(use_case.chain) == doors
    assert [item.reason for item in use_case.chain.barred] == reasons


def test_a_rule_chooses_its_own_model() -> None:
    use_case = narrowed("alpha", rules=(Rule(when=When(input_tokens=TokenRange(over=1)), chain=("beta", "alpha")),))
    assert kept(use_case.rules[0].chain) == ["beta@two"]


def test_no_lot_and_no_conversation_leads_to_another_model() -> None:
    half = Share(model="beta", percent=Decimal(50))
    use_case = narrowed("alpha", "beta", canary=half, split=(half,), sticky=True)
    assert not use_case.follows_conversations
    plans = [
        plan(use_case, Facts(conversation=str(lot)), resting={}, spend=Spend(), at=AT, answered_by="beta")
        for lot in range(20)
    ]
    assert {(made.steps[0].target.model, made.arm, made.conversation) for made in plans} == {("alpha", "", "")}


def test_a_ceiling_that_names_other_models_alone_refuses() -> None:
    use_case = narrowed("alpha", ceiling=Ceiling(per_day=Decimal(1), then=("beta",)))
    assert use_case.ceiling is not None
    assert use_case.ceiling.then is None
