"""Parallel coordinates of a sweep over at least three settings: a line per combination, coloured by accuracy."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from infer.plots.axes import Axis
from infer.plots.cells import colours_of
from infer.plots.frame import Words, framed
from infer.plots.style import NOTE_COLOUR, give_axes_size
from infer.records.measurements import Measurement

_AXIS_WIDTH, _HEIGHT = 1.5, 2.8
"""Inches between two vertical axes, and the height of each."""
_NUMBER_SIZE = 7
_MOST_TICKS = 5


def parallel_coordinates(axes: Sequence[Axis], points: Sequence[Measurement], value_title: str, words: Words) -> Figure:
    """Draw each of ``points`` as a line through its values on ``axes``, spaced evenly, and its leading score."""
    scores = [point.leading["mean"] for point in points if point.leading is not None]
    colours = colours_of(scores)
    figure, body = framed(words)
    drawn = body.subplots()
    for point in sorted(points, key=lambda point: point.leading["mean"] if point.leading else 0):  # best drawn on top
        if point.leading is not None:
            score = point.leading["mean"]
            heights = [_height(axis, point.values[axis.key]) for axis in axes]
            drawn.plot([*heights, _share(scores, score)], color=colours.to_rgba(np.array(score)), alpha=0.85)
    for place, axis in enumerate(axes):
        heights = [_height(axis, value) for value in axis.values]
        _name_values(drawn, place, list(zip(heights, axis.names, strict=True)))
    ticks = MaxNLocator(_MOST_TICKS).tick_values(min(scores), max(scores))
    inside = [tick for tick in ticks if min(scores) <= tick <= max(scores)]
    _name_values(drawn, len(axes), [(_share(scores, tick), f"{tick:g}") for tick in inside])
    drawn.set_xticks(range(len(axes) + 1), [*(axis.title for axis in axes), value_title])
    drawn.set_xlim(-0.2, len(axes) + 0.35)
    drawn.set_yticks([])
    drawn.grid(False)
    drawn.spines[:].set_visible(False)
    drawn.tick_params(length=0)
    give_axes_size(figure, drawn, _AXIS_WIDTH * (len(axes) + 1), _HEIGHT)
    return figure


def _height(axis: Axis, value: object) -> float:
    """Height of ``value`` from 0 to 1; all values are spaced evenly."""
    return axis.rank(value) / max(1, len(axis.values) - 1)


def _share(scores: Sequence[float], score: float) -> float:
    return (score - min(scores)) / max(max(scores) - min(scores), 1e-9)


def _name_values(axes: Axes, place: int, values: Sequence[tuple[float, str]]) -> None:
    """Draw the vertical axis at ``place``, with ``values`` (height and name) beside it."""
    axes.axvline(place, color=NOTE_COLOUR, linewidth=0.8)
    for height, name in values:
        axes.annotate(
            name,
            (place, height),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            size=_NUMBER_SIZE,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        )
