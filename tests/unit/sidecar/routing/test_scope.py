"""A use case narrowed to one model: which model depends on the rules alone."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.bundle import Ceiling, Rule, TokenRange, When
from sidecar.routing.scope import OTHER_MODEL, one_model
from sidecar.routing.snapshot import Chain, UseCase
from tests.fakes import core_bundles as bundles

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


def test_a_ceiling_that_names_other_models_alone_refuses() -> None:
    use_case = narrowed("alpha", ceiling=Ceiling(per_day=Decimal(1), then=("beta",)))
    assert use_case.ceiling is not None
    assert use_case.ceiling.then is None
