"""Lots: whose they are for good, and with which chance."""

from decimal import Decimal

import pytest

from schemas.bundle import Share
from sidecar.routing.lots import draw
from sidecar.routing.snapshot import Chain
from tests.fakes import core_bundles as bundles

MODELS = {name: bundles.model("one") for name in ("alpha", "beta", "gamma", "delta")}


def chain_of(canary: str | None = None, **split: str) -> Chain:
    snapshot = bundles.snapshot(
        models=MODELS,
        chain=["alpha"],
        canary=None if canary is None else Share(model="delta", percent=Decimal(canary)),
        split=tuple(Share(model=model, percent=Decimal(percent)) for model, percent in split.items()),
    )
    return snapshot.use_cases["chat"].chain


def arms(chain: Chain, closed: tuple[str, ...] = (), use_case: str = "chat", conversations: int = 400) -> list[str]:
    """Who is first for each conversation, with the chance of it."""
    listed = [arm for arm in chain.arms if arm.model not in closed]
    drawn = [draw(use_case, chain, f"c-{number}", listed) for number in range(conversations)]
    return [f"{lot.arm.model if lot.arm else 'alpha'} {lot.propensity:.4g}" for lot in drawn]


@pytest.mark.parametrize(
    ("chain", "closed", "chances"),
    [
        (chain_of("5"), (), {"delta 0.05", "alpha 0.95"}),
        (chain_of("100"), (), {"delta 1"}),
        (chain_of(beta="30"), (), {"beta 0.3", "alpha 0.7"}),
        (chain_of(beta="30", gamma="20"), (), {"beta 0.3", "gamma 0.2", "alpha 0.5"}),
        (chain_of("10", beta="50", gamma="25"), (), {"delta 0.1", "beta 0.45", "gamma 0.225", "alpha 0.225"}),
        # The part of an arm that cannot take the call goes to the chain, and to no other arm.
        (chain_of("10", beta="50", gamma="25"), ("beta",), {"delta 0.1", "gamma 0.225", "alpha 0.675"}),
        (chain_of("10", beta="50"), ("delta",), {"beta 0.5", "alpha 0.5"}),
        (chain_of("10"), ("delta",), {"alpha 1"}),
    ],
)
def test_the_chance_that_is_told_is_that_of_the_rules(chain: Chain, closed: tuple[str, ...], chances: set[str]) -> None:
    assert set(arms(chain, closed)) == chances


def test_an_arm_that_is_closed_moves_nobody_between_the_others() -> None:
    chain = chain_of(beta="30", gamma="30")
    models = [lot.split()[0] for lot in arms(chain)]
    without = [lot.split()[0] for lot in arms(chain, ("beta",))]
    assert {(before, after) for before, after in zip(models, without, strict=True) if before != after} == {
        ("beta", "alpha")
    }


def test_two_use_cases_draw_apart() -> None:
    chain = chain_of("50")
    assert arms(chain, use_case="chat") != arms(chain, use_case="mail")


def test_every_sidecar_of_every_version_draws_the_same() -> None:
    """A change here moves conversations of every experiment that runs."""
    drawn = arms(chain_of("20", beta="50"), conversations=10)
    assert "".join(lot[0] for lot in drawn) == "dbbbdbbbbd"
