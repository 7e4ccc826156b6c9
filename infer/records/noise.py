"""Welch's t-test from means and standard deviations: whether two means differ by more than their noise."""

import math
from typing import NamedTuple

from infer.records.statistics import Summary

LEVEL = 0.05
"""A difference is called larger than its noise when its two-sided p lies below this."""
_SMALLEST = 1e-300
_PRECISION = 1e-15
_MOST_TERMS = 10_000


class Welch(NamedTuple):
    """The outcome of a test."""

    t: float
    degrees_of_freedom: float
    """After Welch and Satterthwaite."""
    p: float
    """Two-sided."""


def welch(a: Summary, b: Summary) -> Welch | None:
    """Tests whether the mean of ``b`` differs from that of ``a`` (Welch, Biometrika 34, 1947).

    None without a spread to judge by: a single value on one side, or no variance on either.
    """
    if a["std"] is None or b["std"] is None:
        return None
    variance_a, variance_b = a["std"] ** 2 / a["n"], b["std"] ** 2 / b["n"]
    variance = variance_a + variance_b
    if variance == 0:
        return None
    t = (b["mean"] - a["mean"]) / math.sqrt(variance)
    freedom = variance**2 / (variance_a**2 / (a["n"] - 1) + variance_b**2 / (b["n"] - 1))
    return Welch(t, freedom, two_sided_p(t, freedom))


def two_sided_p(t: float, degrees_of_freedom: float) -> float:
    """The probability that Student's t lies at least as far from zero as ``t``."""
    return _regularised_beta(degrees_of_freedom / (degrees_of_freedom + t * t), degrees_of_freedom / 2, 0.5)


def _regularised_beta(x: float, a: float, b: float) -> float:
    """I_x(a, b) by its continued fraction (NIST DLMF 8.17.22); scipy's takes half a second to import."""
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
