"""Welch's t-test against closed forms, printed tables and worked examples."""

import math

import pytest

from infer.records.noise import two_sided_p, welch
from infer.records.statistics import summarise


@pytest.mark.parametrize("t", [-30.0, -1.0, 0.0, 1e-6, 0.3, 2.0, 12.7, 500.0])
def test_one_and_two_degrees_of_freedom_have_closed_forms(t):
    assert two_sided_p(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(abs(t)), rel=1e-9)
    assert two_sided_p(t, 2) == pytest.approx(1 - abs(t) / math.sqrt(2 + t * t), rel=1e-7)


@pytest.mark.parametrize(
    ("t", "freedom", "p"),
    [(12.706, 1, 0.05), (2.776, 4, 0.05), (4.604, 4, 0.01), (2.086, 20, 0.05), (1.960, 1e6, 0.05), (2.576, 1e6, 0.01)],
)
def test_the_printed_table_of_student(t, freedom, p):
    assert two_sided_p(t, freedom) == pytest.approx(p, rel=1e-3)


def test_unequal_spreads_and_sizes():
    """By hand: variances 2 and 4, divided by n 1 and 4/3; (7/3)² / (1²/1 + (4/3)²/2) = 49/17."""
    found = welch(summarise([1.0, 3.0]), summarise([10.0, 12.0, 14.0]))
    assert found.t == pytest.approx(10 / math.sqrt(7 / 3))
    assert found.degrees_of_freedom == pytest.approx(49 / 17)


def test_one_side_without_spread_leaves_the_test_of_the_other():
    """By hand: t = 3 / (1/sqrt(3)) with 2 degrees of freedom."""
    found = welch(summarise([5.0] * 4), summarise([1.0, 2.0, 3.0]))
    assert found.t == pytest.approx(-math.sqrt(27)) and found.degrees_of_freedom == pytest.approx(2)
    assert found.p == pytest.approx(1 - math.sqrt(27 / 29))


def test_equal_spreads_and_sizes_give_the_pooled_degrees_of_freedom():
    found = welch(summarise([1.0, 2.0, 3.0]), summarise([11.0, 12.0, 13.0]))
    assert found.degrees_of_freedom == pytest.approx(4)
    assert found.t == pytest.approx(10 / math.sqrt(2 / 3))


def test_scipy_agrees():
    stats = pytest.importorskip("scipy.stats")
    a, b = [97.1, 98.4, 97.7, 96.9], [98.9, 98.2, 99.1]
    found, reference = welch(summarise(a), summarise(b)), stats.ttest_ind(b, a, equal_var=False)
    assert found.t == pytest.approx(reference.statistic)
    assert found.p == pytest.approx(reference.pvalue)


def test_no_spread_no_verdict():
    assert welch(summarise([1.0]), summarise([2.0, 3.0])) is None
    assert welch(summarise([1.0, 1.0]), summarise([2.0, 2.0])) is None
