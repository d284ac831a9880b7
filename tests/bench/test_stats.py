"""The arithmetic of the bench: medians over rounds, ratios inside rounds, what is added to a direct call."""

from tests.bench.stats import medians, ratios, with_added


def test_a_ratio_is_the_median_of_the_ratios_inside_each_round() -> None:
    ours = [{"p50": 10.0}, {"p50": 40.0}, {"p50": 30.0}]
    base = [{"p50": 10.0}, {"p50": 20.0}, {"p50": 10.0}]
    assert ratios(ours, base) == {"p50": 2.0}  # the ratio of the medians would be 3


def test_a_metric_that_failed_in_a_round_is_left_out_of_that_round_only() -> None:
    ours = [{"p50": 10.0}, {}, {"p50": 30.0, "rss": 50.0}]
    assert medians(ours) == {"p50": 20.0, "rss": 50.0}
    assert ratios(ours, [{"p50": 5.0}, {"p50": 1.0}, {}]) == {"p50": 2.0}


def test_no_ratio_is_told_to_a_base_of_zero_or_below() -> None:
    assert ratios([{"added": 3.0}, {"added": 4.0}], [{"added": 0.0}, {"added": -1.0}]) == {}


def test_what_a_proxy_adds_is_taken_from_the_direct_call_of_the_same_round() -> None:
    rounds = with_added(
        [{"p50": 30.0}, {"p50": 70.0}, {}], [{"p50": 20.0}, {"p50": 40.0}, {"p50": 5.0}], {"p50": "added"}
    )
    assert medians(rounds)["added"] == 20.0
    assert rounds[2] == {}
