"""What a call will use, before anybody knows."""

from decimal import Decimal
from random import Random

from sidecar.limits.estimates import OutputLengths, reserve_usd
from tests.fakes import core_bundles as bundles


def test_19_of_20_answers_are_no_longer_than_expected() -> None:
    lengths, random = OutputLengths(), Random(7)
    for _ in range(5_000):
        lengths.learn("chat", round(random.expovariate(1 / 300)))
    answers = [random.expovariate(1 / 300) for _ in range(5_000)]
    share = sum(answer <= lengths.expect("chat", None) for answer in answers) / len(answers)
    assert 0.90 < share < 0.99


def test_a_call_that_names_its_maximum_expects_no_more() -> None:
    lengths = OutputLengths()
    assert (lengths.expect("chat", None), lengths.expect("chat", 50)) == (1024, 50)
    lengths.learn("chat", 0)
    assert lengths.expect("chat", 50) == 1


def test_a_few_answers_already_say_more_than_nothing() -> None:
    """Or a small budget would be held by reservations of a page each, and calls refused that had room."""
    lengths = OutputLengths()
    for length in (20, 30, 25):
        lengths.learn("chat", length)
    assert lengths.expect("chat", None) == 60
    for _ in range(17):
        lengths.learn("chat", 10)
    assert lengths.expect("chat", None) == 30


def test_a_use_case_whose_answers_change_is_followed() -> None:
    lengths = OutputLengths()
    for length in [10] * 500 + [900] * 128:
        lengths.learn("chat", length)
    assert lengths.expect("chat", None) == 900
    assert lengths.expect("other", None) == 1024


def test_the_dearest_target_counts_and_one_without_a_price_does_not() -> None:
    models = {
        "a": bundles.model("one", prices=(bundles.price("1", "2"),)),
        "b": bundles.model("one", prices=(bundles.price("3", "4"),)),
        "c": bundles.model("one", prices=()),
    }
    targets = bundles.snapshot(models=models, chain=["a", "b", "c"]).use_cases["chat"].chain.targets
    assert reserve_usd(targets, 1_000_000, 500_000, "2026-11-01") == Decimal(5)
    assert reserve_usd(targets, 0, None, "2026-11-01") == Decimal(4) * 4096 / 1_000_000
    assert reserve_usd(targets[2:], 1_000_000, 500_000, "2026-11-01") == 0
