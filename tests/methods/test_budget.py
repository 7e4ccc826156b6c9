"""Budgets that ipc stands for: the table of the published formula's values, and random images of equal bytes."""

import pytest

from infer.errors import UsageError
from infer.methods.budget import compensator_bytes, image_bytes, ipc_charged, random_images_for, subsets_for


@pytest.mark.parametrize(
    ("ipc", "classes", "teachers", "subsets"),
    [
        (1, 10, 4, 1),
        (10, 10, 4, 7),
        (50, 10, 4, 35),
        (100, 10, 4, 71),
        (1, 100, 4, 1),
        (10, 100, 4, 9),
        (50, 100, 4, 48),
        (100, 100, 4, 96),
        (10, 200, 4, 9),
        (50, 200, 4, 49),
        (10, 1000, 3, 9),
        (50, 1000, 3, 49),
        (100, 1000, 3, 99),
        (14, 10, 4, 10),  # exactly paid for: 14·10 / 14, where floating point may truncate to 9
    ],
)
def test_subsets(ipc, classes, teachers, subsets):
    assert subsets_for(ipc, classes, teachers) == subsets
    if ipc > 1:
        charged = ipc_charged(subsets, classes, teachers)
        assert charged <= ipc + 1e-9
        assert ipc_charged(subsets + 1, classes, teachers) > ipc


@pytest.mark.parametrize(("per_class", "scale", "subsets"), [(False, 2, 9), (False, 4, 9), (True, 1, 2), (True, 2, 5)])
def test_subsets_with_smaller_compensators_or_one_per_class(per_class, scale, subsets):
    """ipc 10, ten classes, four teachers: a compensator of half the edge is a quarter of an image, so K is 10 / 1.1."""
    assert subsets_for(10, 10, 4, per_class, scale) == subsets
    assert ipc_charged(subsets, 10, 4, per_class, scale) <= 10 < ipc_charged(subsets + 1, 10, 4, per_class, scale)


def test_one_image_per_class_charges_more_than_one():
    assert ipc_charged(subsets_for(1, 10, 4), 10, 4) == pytest.approx(1.4)


@pytest.mark.parametrize(("dtype", "expected"), [("int8", 3 * 64 + 12), ("float16", 384), ("float32", 768)])
def test_compensator_bytes(dtype, expected):
    assert compensator_bytes(8, dtype) == expected


def test_random_images_fill_the_budget_and_leave_the_rest():
    cost = image_bytes(8) + 2
    per_class, leftover = random_images_for(10_000, cost, num_classes=10, smallest_class=100)
    assert (per_class, leftover) == (5, 10_000 - 50 * cost)
    assert random_images_for(10_000, cost, num_classes=10, smallest_class=3)[0] == 3


def test_a_budget_below_one_image_per_class_is_refused():
    with pytest.raises(UsageError, match="do not suffice for one image per class"):
        random_images_for(100, 194, num_classes=10, smallest_class=100)
