"""Welch's t-test from means and standard deviations, which tests if two means differ by more than their noise."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from infer.records.statistics import Summary

LEVEL = 0.05
"""Significance level: a difference is called larger than noise if its two-sided p is below it."""
_SMALLEST = 1e-300
_PRECISION = 1e-15
_MOST_TERMS = 10_000


class Welch(NamedTuple):
    """Result of a test."""

    t: float
    degrees_of_freedom: float
    """Degrees of freedom by the formula of Welch and Satterthwaite."""
    p: float
    """Two-sided p."""
    error: float
    """Standard error of the difference."""

    @property
    def is_larger_than_noise(self) -> bool:
        """True if p is below ``LEVEL``."""
        return self.p < LEVEL


def judgement(test: Welch | None) -> str:
    """Text on the difference of ``test``; None stands for a difference without a spread."""
    if test is None:
        return "no spread to judge it by"
    return "more than noise" if test.is_larger_than_noise else "within noise"


def welch(a: Summary, b: Summary) -> Welch | None:
    """Test whether the mean of ``b`` differs from that of ``a`` (Welch, Biometrika 34, 1947).

    None without a spread: with a single value on one side, or no variance on both sides.
    """
    return welch_over_pairs([(a, b)])


def welch_over_pairs(pairs: Sequence[tuple[Summary, Summary]]) -> Welch | None:
    """Test whether the mean of b - a over ``pairs`` differs from zero; ``welch`` generalised to several means.

    None without a spread, as for ``welch``.
    """
    sides = [side for pair in pairs for side in pair]
    variances = [side["std"] ** 2 / side["n"] / len(pairs) ** 2 for side in sides if side["std"] is not None]
    if len(variances) < len(sides) or sum(variances) == 0:
        return None
    error = math.sqrt(sum(variances))
    t = mean_difference(pairs) / error
    weights = sum(variance**2 / (side["n"] - 1) for variance, side in zip(variances, sides, strict=True))
    freedom = sum(variances) ** 2 / weights
    return Welch(t, freedom, two_sided_p(t, freedom), error)


def mean_difference(pairs: Sequence[tuple[Summary, Summary]]) -> float:
    """Mean of b - a over ``pairs``."""
    return math.fsum(b["mean"] - a["mean"] for a, b in pairs) / len(pairs)


def two_sided_p(t: float, degrees_of_freedom: float) -> float:
    """The probability that the absolute value of Student's t is at least that of ``t``."""
    return _regularised_beta(degrees_of_freedom / (degrees_of_freedom + t * t), degrees_of_freedom / 2, 0.5)


def _regularised_beta(x: float, a: float, b: float) -> float:
    """I_x(a, b) by its continued fraction (NIST DLMF 8.17.22); importing scipy for it would take half a second."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # beyond this point the fraction of the complement converges faster
        return 1 - _regularised_beta(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / (a * _continued_fraction(x, a, b))


def _continued_fraction(x: float, a: float, b: float) -> float:
    """1 + d_1/(1 + d_2/(1 + ...)), evaluated from the front by Lentz's method."""
    value = ratio = 1.0
    inverse = 0.0
    for term in range(1, _MOST_TERMS):
        d = _coefficient(term, x, a, b)
        inverse = 1 / ((1 + d * inverse) or _SMALLEST)
        ratio = (1 + d / ratio) or _SMALLEST
        value *= ratio * inverse
        if abs(ratio * inverse - 1) < _PRECISION:
            break
    return value


def _coefficient(term: int, x: float, a: float, b: float) -> float:
    m, odd = divmod(term, 2)
    if odd:
        return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
