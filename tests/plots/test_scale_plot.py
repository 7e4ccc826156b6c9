"""Costs over sizes: solid where a job was made, dashed where the cost model speaks, and never one for the other."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.colors
import pytest
from helpers.figures import assert_tidy, words_of
from matplotlib.figure import Figure

from infer.plots.scale import scale_plot
from infer.records.scale import CostLine, Costs

IMAGENET = {"classes": 1000, "image_size": 224, "train_per_class": 1281}


def costs(made: bool = True, **sizes: int) -> Costs:
    sizes = {"classes": 10, "image_size": 8, "ipc": 10, "train_per_class": 144} | sizes
    seconds = math.prod(sizes.values()) / 10_000
    expected = {"seconds": seconds, "peak_memory_bytes": 1e9 + 1e5 * seconds, "total_bytes": 100.0 * seconds}
    return Costs(sizes, expected, expected | {"seconds": seconds / 2} if made else {})


def line(axis: str, sizes: Sequence[int], made: int, **fixed: int) -> CostLine:
    """Costs along ``axis``, of which the first ``made`` are measured."""
    return CostLine(axis, [costs(n < made, **fixed | {axis: size}) for n, size in enumerate(sizes)])


@pytest.fixture
def figure() -> Figure:
    lines = [
        line("classes", [10, 30, 100, 1000], made=3),
        line("image_size", [8, 16, 32, 64, 224], made=3),
        line("ipc", [1, 10, 50, 100], made=4),
        line("ipc", [10, 50], made=0, **IMAGENET),
    ]
    return scale_plot(lines, "digits, infer, static")


def drawn(figure: Figure, row: int, column: int) -> list[dict[str, Any]]:
    """Lines of a panel: places, dashes, and whether markers are hollow."""
    return [
        {
            "x": list(each.get_xdata()),
            "y": list(each.get_ydata()),
            "dashed": each.get_linestyle() != "-",
            "hollow": matplotlib.colors.to_hex(each.get_markerfacecolor()) == "#ffffff",
        }
        for each in figure.axes[3 * row + column].lines
    ]


def test_measured_is_solid_and_estimated_dashed(figure):
    expected, measured = drawn(figure, 0, 0)
    assert expected["x"] == [10, 30, 100, 1000] and expected["dashed"] and expected["hollow"]
    assert measured["x"] == [10, 30, 100] and not measured["dashed"] and not measured["hollow"]
    assert measured["y"] == pytest.approx([y / 2 for y in expected["y"][:3]])


def test_what_was_not_made_has_no_solid_line(figure):
    lines = drawn(figure, 2, 2)
    assert [(len(each["x"]), each["dashed"]) for each in lines] == [(4, True), (4, False), (2, True)]


def test_axes_have_units_and_the_legend_says_which_is_which(figure):
    words = words_of(figure)
    for word in ("measured", "estimate of the cost model", "classes", "pixels along an edge", "1 min", "1 GB"):
        assert word in words
    assert "1,000 classes, 224 px, 1,281 training images per class" in words
    assert {axes.get_xscale() for axes in figure.axes} == {axes.get_yscale() for axes in figure.axes} == {"log"}


@pytest.mark.parametrize("lines", [[line("ipc", [1, 2], made=0)], [line("classes", [10, 10**5], made=1)]])
def test_few_sizes_are_tidy_too(lines):
    assert_tidy(scale_plot(lines, "digits"))


def test_no_word_is_cut_or_covers_another(figure):
    assert_tidy(figure)
