"""A bundle made ready to run, or refused."""

import pytest

from schemas.bundle import BundleRefused, Hours, Rule, UseCase, When
from sidecar.routing.snapshot import build_snapshot
from tests.fakes import core_bundles as bundles


def test_doors_stand_in_order_of_preference_and_names_are_resolved() -> None:
    made = bundles.snapshot(models={"alpha": bundles.model("two", "one")}, chain=["alpha"])
    assert [target.key for target in made.use_cases["chat"].chain.targets] == ["alpha@two", "alpha@one"]
    assert [target.name for target in made.targets["alpha"]] == ["two-name", "one-name"]
    assert made.vendors == {"alpha": "maker"}
    assert made.digest.startswith("sha256:")


def test_exact_aliases_are_told_from_patterns_and_the_first_use_case_by_name_wins() -> None:
    more = {"b": UseCase(owner="t", chain=("beta",), aliases=("x", "y*"))}
    made = build_snapshot(bundles.bundle(name="a", aliases=("x", "y?"), more_use_cases=more))
    assert made.aliases == {"x": "a"}
    assert [name for _, name in made.alias_globs] == ["a", "b"]


def test_only_headers_that_a_rule_looks_at_are_watched() -> None:
    rules = (Rule(when=When(header={"X-Tier": "*"}), chain=("beta",)),)
    assert bundles.snapshot(rules=rules).use_cases["chat"].headers_watched == {"x-tier"}


@pytest.mark.parametrize(
    "hours",
    [
        Hours(start="09:00", end="17:00", zone="Nowhere/Land"),
        Hours(start="09:00", end="17:00", zone="../../etc/passwd"),
        Hours(start="09:00", end="17:00", zone=""),
        Hours(start="nine", end="17:00", zone="UTC"),
    ],
)
def test_what_cannot_be_compiled_is_refused(hours: Hours) -> None:
    with pytest.raises(BundleRefused, match="cannot be compiled"):
        bundles.snapshot(rules=(Rule(when=When(hours=hours), chain=("beta",)),))
