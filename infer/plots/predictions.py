"""Pictures of students' predictions: accuracy by class, confusion matrices, calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from infer.plots.cells import numbered_cells
from infer.plots.frame import name_places
from infer.plots.style import MARKERS, NOTE_COLOUR, PALETTE, TICK_STEPS, write_caption, write_title
from infer.records.predictions import NUM_BINS, SetPredictions

_DPI = 160
_TITLE_SIZE, _TEXT_SIZE, _NUMBER_SIZE = 11, 8, 7
_MOST_NAMED = 30
"""Largest number of classes whose names are shown; more classes are ranked instead."""
_MOST_NUMBERED = 12
"""Largest number of classes for which the cells of a confusion matrix show numbers."""
_MOST_MATRICES = 3
_LEAST_SHARE = 0.005
"""Smallest fraction of the images in a bin whose accuracy is drawn; with fewer images it says little."""


def accuracy_by_class(sets: Sequence[SetPredictions], names: Sequence[str], title: str) -> Figure:
    """Accuracy on every class, as mean and range over the students of each set.

    More than thirty classes are ranked by their accuracy for the first set.
    """
    is_named = len(names) <= _MOST_NAMED
    width = max(5.0, 0.62 * len(names)) if is_named else 8.0
    figure = Figure(figsize=(width, 3.4), dpi=_DPI)
    write_title(figure, title, size=_TITLE_SIZE)
    axes = figure.subplots()
    order = np.arange(len(names)) if is_named else np.argsort(-sets[0].accuracy_by_class.mean(axis=0))
    for number, each in enumerate(sets):
        _draw_accuracies(axes, each, order, number, len(sets) if is_named else 0)
    axes.set_ylabel("accuracy (%)")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=TICK_STEPS))
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0), min(high, 101))
    if is_named:
        axes.tick_params(axis="x", length=0)
        name_places(axes, names, width)
    else:
        axes.set_xlabel(f"rank of a class by its accuracy under {sets[0].name}")
    figure.legend(loc="outside lower center", ncols=min(4, len(sets)), fontsize=_TEXT_SIZE)
    return figure


def confusion_matrices(sets: Sequence[SetPredictions], names: Sequence[str], title: str) -> Figure:
    """Confusion matrices of the first three of ``sets`` side by side; rows in percent, as means over students."""
    sets = sets[:_MOST_MATRICES]
    size = min(max(2.4, 0.42 * len(names)), 4.2)
    figure = Figure(figsize=(size * len(sets) + 1.6, size + 1.1), dpi=_DPI)
    write_title(figure, title, size=_TITLE_SIZE)
    all_axes = figure.subplots(1, len(sets), squeeze=False)[0]
    for axes, each in zip(all_axes, sets, strict=True):
        form = ".0f" if len(names) <= _MOST_NUMBERED else None
        image = numbered_cells(axes, each.confusion, form, 0, 100, size=_NUMBER_SIZE, least=0.5)
        axes.set_title(each.name)
        axes.set_xlabel("predicted class")
        _name_classes(axes, names)
    all_axes[0].set_ylabel("true class")
    bar = figure.colorbar(image, ax=all_axes, label="share of the true class (%)", shrink=0.9, aspect=18)
    bar.ax.grid(False)
    return figure


def calibration(sets: Sequence[SetPredictions], title: str) -> Figure:
    """Reliability diagram: accuracy over confidence in bins of equal width, above the fraction of images in each."""
    figure = Figure(figsize=(7.6, 4.4), dpi=_DPI)
    write_title(figure, title, size=_TITLE_SIZE)
    note = f"{NUM_BINS} bins, those with less than {100 * _LEAST_SHARE:g} % of the images not drawn above"
    write_caption(figure, f"{note}; ECE in percentage points, mean ± std over students", _TEXT_SIZE)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 100], [0, 100], color=NOTE_COLOUR, linewidth=0.8, linestyle=":", label="perfectly calibrated")
    for number, each in enumerate(sets):
        reliability, error = each.reliability, each.calibration_error
        spread = "" if error["std"] is None else f" ± {error['std']:.1f}"
        there = reliability.share >= _LEAST_SHARE
        above.plot(
            100 * reliability.confidence[there],
            100 * reliability.accuracy[there],
            label=f"{each.name}: ECE {error['mean']:.1f}{spread}",
            **_look(number),
        )
        edges = np.linspace(0, 100, NUM_BINS + 1)
        below.stairs(100 * reliability.share, edges, color=_look(number)["color"], linewidth=1.2)
    above.set_ylabel("accuracy (%)")
    below.set_ylabel("images (%)")
    below.set_xlabel("confidence (%)")
    below.set_xlim(0, 100)
    above.set_ylim(0, 100)
    figure.legend(loc="outside right upper", fontsize=_TEXT_SIZE)
    return figure


def _draw_accuracies(axes: Axes, of_set: SetPredictions, order: np.ndarray, number: int, beside: int) -> None:
    """Draw the accuracies of a set: points, one of ``beside`` side by side, or a line where ``beside`` is 0."""
    accuracies = of_set.accuracy_by_class[:, order]
    mean, look = accuracies.mean(axis=0), _look(number)
    places = np.arange(len(order))
    if not beside:
        axes.plot(places, mean, color=look["color"], label=of_set.name, linewidth=1)
        return
    bars = np.maximum([mean - accuracies.min(axis=0), accuracies.max(axis=0) - mean], 0)  # rounding may be negative
    moved = places + (number - (beside - 1) / 2) * 0.16
    axes.errorbar(moved, mean, bars, elinewidth=0.9, capsize=2, label=of_set.name, **look | {"linestyle": "none"})


def _look(number: int) -> dict[str, Any]:
    return {
        "color": PALETTE[number % len(PALETTE)],
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 4,
        "linestyle": "-",
    }


def _name_classes(axes: Axes, names: Sequence[str]) -> None:
    if len(names) > _MOST_NAMED:
        return
    axes.set_xticks(range(len(names)), names, size=_NUMBER_SIZE)
    axes.set_yticks(range(len(names)), names, size=_NUMBER_SIZE)
    if max(map(len, names)) > 2:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
