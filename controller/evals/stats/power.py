"""How many samples a question needs, and what a given number can show.

`discordance` is the share of samples on which the two models differ; on graded scores, the variance of the
difference plus its square. Every function takes alpha two-sided.
"""

import math

from controller.evals.stats.quantiles import normal_quantile


def _z(alpha: float, power: float) -> tuple[float, float]:
    return normal_quantile(1 - alpha / 2), normal_quantile(power)


def n_superiority(difference: float, discordance: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Samples to tell a true `difference` from none (Connor 1987)."""
    z_alpha, z_power = _z(alpha, power)
    root = z_alpha * math.sqrt(discordance) + z_power * math.sqrt(discordance - difference**2)
    return math.ceil(root**2 / difference**2)


def n_non_inferiority(
    margin: float, discordance: float, expected: float = 0.0, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Samples to prove "not worse than by `margin`" if the true difference is `expected`; None: no number would do."""
    if expected <= -margin:
        return None
    z_alpha, z_power = _z(alpha, power)
    spread = max(0.0, discordance - expected**2)
    return math.ceil((z_alpha + z_power) ** 2 * spread / (margin + expected) ** 2)


def n_without_disagreement(margin: float, alpha: float = 0.05) -> int:
    """Samples for Tango's interval to stay within `margin` when the two models never differ: the least of all."""
    z = normal_quantile(1 - alpha / 2)
    return math.floor(z * z * (1 - margin) / margin) + 1


def minimal_detectable_difference(n: int, discordance: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true difference that `n` samples would show with that power."""
    z_alpha, z_power = _z(alpha, power)
    return (z_alpha + z_power) * math.sqrt(discordance / n)


def n_with_repeats(
    difference: float, between: float, within_incumbent: float, within_candidate: float,
    epochs_incumbent: int, epochs_candidate: int, alpha: float = 0.05, power: float = 0.8,
) -> int:  # fmt: skip
    """Samples if each is run several times (Miller 2024): variances between samples and within each model's runs."""
    z_alpha, z_power = _z(alpha, power)
    variance = between + within_incumbent / epochs_incumbent + within_candidate / epochs_candidate
    return math.ceil((z_alpha + z_power) ** 2 * variance / difference**2)
