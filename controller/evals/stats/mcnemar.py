"""McNemar's exact test: do two models differ on the samples where one was right and the other wrong?"""

import math


def mcnemar_exact(only_candidate: int, only_incumbent: int) -> float:
    """Two-sided p: under no difference, each disagreement is a fair coin. 1 where there is none."""
    tosses = only_candidate + only_incumbent
    fewer = min(only_candidate, only_incumbent)
    # Exact integers: the share of all 2^tosses sequences.
    term, total = 1, 1
    for k in range(fewer):
        term = term * (tosses - k) // (k + 1)
        total += term
    if tosses == 0:
        return 1.0
    return min(1.0, math.exp(math.log(total) + math.log(2) * (1 - tosses)))
