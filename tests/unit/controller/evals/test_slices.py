"""Some traffic rather than all."""

import random
from typing import Any

import pytest

from controller.evals.decision import Decision
from controller.evals.pairs import Pair
from controller.evals.quality import estimate
from controller.evals.slices import propose_split, slices_of

from .results import FEW, Rows, changed, compared, two_models


def mixed(good: int, bad: int, seed: int = 1) -> tuple[Rows, Rows]:
    """`easy`: both nearly always right; `hard`: the new model loses much."""
    rng = random.Random(seed)
    old, new = two_models(good + bad, 0, 0, 0)
    score = {i: float(rng.random() < (0.99 if i < good else 0.55)) for i in range(good + bad)}

    def part(i: int, row: Any) -> dict[str, Any]:
        return {"slice": "easy" if i < good else "hard"}

    return changed(old, part), changed(new, lambda i, row: part(i, row) | {"success": score[i]})


def pairs_of(rows: tuple[Rows, Rows]) -> list[Pair]:
    by_id = {row.sample_id: row for row in rows[1]}
    return [
        Pair(
            sample_id=row.sample_id,
            incumbent=row.success or 0,
            candidate=by_id[row.sample_id].success or 0,
            incumbent_usd=0.01,
            candidate_usd=0.005,
            cluster=row.cluster,
            slice=row.slice,
        )
        for row in rows[0]
    ]


def test_a_slice_that_passes_alone_is_split_off_and_holds_on_the_other_half() -> None:
    found = compared(mixed(600, 400), margin=0.03, accepted=frozenset({"L2"}))
    assert found.outcome.verdict == "inferior"
    assert found.outcome.also == ("split",)
    split = found.split
    assert split is not None
    assert split.slices == ("easy",)
    assert split.passes
    assert split.proposed_by + split.quality.n == 1000
    assert split.spending is not None
    assert split.spending.ratio is not None
    assert 0.5 < split.spending.ratio.value < 1


def test_a_split_that_fails_on_the_other_half_is_not_offered() -> None:
    pairs = pairs_of(mixed(600, 400))
    lucky = [pair if not pair.is_held_out else pair.__class__(**fields(pair) | {"candidate": 0.0}) for pair in pairs]
    split = propose_split(lucky, Decision(margin=0.03), resamples=FEW)
    assert split is not None
    assert not split.passes


def fields(pair: Pair) -> dict[str, Any]:
    return {name: getattr(pair, name) for name in pair.__slots__}


@pytest.mark.parametrize(("good", "bad"), [(0, 800), (800, 0)])
def test_nothing_to_split_where_no_slice_or_every_slice_passes(good: int, bad: int) -> None:
    assert propose_split(pairs_of(mixed(good, bad)), Decision(margin=0.05), resamples=FEW) is None


def test_halves_keep_clusters_whole() -> None:
    rows = tuple(changed(rows, lambda i, row: {"cluster": f"c{i // 10}"}) for rows in mixed(300, 100))
    by_cluster: dict[str, set[bool]] = {}
    for row in rows[0]:
        pair = Pair(
            sample_id=row.sample_id,
            incumbent=1,
            candidate=1,
            incumbent_usd=None,
            candidate_usd=None,
            cluster=row.cluster,
            slice=None,
        )
        by_cluster.setdefault(str(row.cluster), set()).add(pair.is_held_out)
    assert {len(halves) for halves in by_cluster.values()} == {1}
    assert {halves.pop() for halves in by_cluster.values()} == {True, False}


def test_many_slices_ask_for_more_proof_of_each() -> None:
    rows = tuple(changed(rows, lambda i, row: {"slice": f"s{i % 10}"}) for rows in two_models(900, 30, 20, 50))
    found = slices_of(pairs_of((rows[0], rows[1])), Decision(margin=0.1))
    assert len(found) == 10
    assert all(one.adjusted_p >= one.quality.non_inferior_p for one in found)
    assert max(one.adjusted_p for one in found) <= 1


def test_slices_with_their_own_margin() -> None:
    pairs = pairs_of(mixed(400, 400))
    decision = Decision(margin=0.02, slice_margins={"hard": 0.6})
    assert {one.name: one.quality.margin for one in slices_of(pairs, decision)} == {"easy": 0.02, "hard": 0.6}
    assert [one.name for one in slices_of(pairs, decision, only={"hard"})] == ["hard"]
    assert slices_of(pairs, decision, only={"hard"})[0].passes


def test_a_slice_that_is_one_cluster_is_judged_by_its_samples() -> None:
    """As where both name the domain: the whole set is judged by domains, a domain by what is in it."""
    rows = tuple(changed(rows, lambda i, row: {"cluster": row.slice}) for rows in mixed(600, 400))
    alone = slices_of(pairs_of(mixed(600, 400)), Decision(margin=0.03))
    assert slices_of(pairs_of((rows[0], rows[1])), Decision(margin=0.03)) == alone
    found = compared((rows[0], rows[1]), margin=0.03, accepted=frozenset({"L2"}))
    assert found.quality is not None
    assert found.quality.clusters == 2
    assert found.split is not None
    assert found.split.passes


def test_no_pair_is_no_estimate() -> None:
    assert estimate([], 0.02) is None
