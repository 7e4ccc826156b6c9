"""Heat map of accuracy over two swept settings: a cell with a number for each combination."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from infer.plots.axes import Axis
from infer.plots.cells import colours_of, ink_on
from infer.plots.frame import Words, framed, name_places
from infer.plots.style import give_axes_size
from infer.records.measurements import Measurement
from infer.records.statistics import Summary

_CELL_WIDTH, _CELL_HEIGHT, _NUMBER_SIZE = 0.72, 0.46, 8
_LEAST_HEIGHT, _LEAST_WIDTH = 1.1, 3.2
"""Inches: height of the axes, so that the title of the colour bar fits, and width of the figure, so that its title
fits."""
_MOST_TICKS = 4
_MISSING = "#e0e0e0"

Cells = Mapping[tuple[int, int], Summary]
"""Scores by row and column."""


def heat_map(axes: Sequence[Axis], measurements: Sequence[Measurement], value_title: str, words: Words) -> Figure:
    """Draw the leading score of ``measurements`` over two axes."""
    down, across = sorted(axes, key=_belongs_across)
    cells = {
        (down.rank(each.values[down.key]), across.rank(each.values[across.key])): each.leading
        for each in measurements
        if each.leading is not None
    }
    shape = len(down.values), len(across.values)
    missing = shape[0] * shape[1] - len(cells)
    hatched = [f"hatched: {missing} without a score"] if missing else []
    figure, body = framed(replace(words, notes=[*words.notes, *hatched]))
    drawn = body.subplots()
    colours = colours_of([score["mean"] for score in cells.values()])
    _draw_cells(drawn, cells, shape, colours)
    _name_axes(drawn, down, across)
    bar = body.colorbar(colours, ax=drawn, label=value_title, ticks=MaxNLocator(_MOST_TICKS), aspect=12)
    bar.ax.grid(False)
    height = max(_CELL_HEIGHT * shape[0], _LEAST_HEIGHT)
    give_axes_size(figure, drawn, _CELL_WIDTH * shape[1], height, _LEAST_WIDTH)
    return figure


def _belongs_across(axis: Axis) -> tuple[bool, int]:
    """Key that sorts the axis for the columns last.

    Long names are easier to read beside the rows. Of two numeric axes, the one with more values is that of the columns.
    """
    return axis.is_numeric, len(axis.values) if axis.is_numeric else -max(map(len, axis.names))


def _draw_cells(axes: Axes, cells: Cells, shape: tuple[int, int], colours: ScalarMappable) -> None:
    for row, column in np.ndindex(shape):
        score = cells.get((row, column))
        colour: Any = _MISSING if score is None else colours.to_rgba(np.array(score["mean"]))
        corner = (column - 0.5, row - 0.5)
        hatch = "////" if score is None else None
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8, hatch=hatch))
        if score is not None:
            axes.text(column, row, _number(score), ha="center", va="center", size=_NUMBER_SIZE, color=ink_on(colour))


def _number(score: Summary) -> str:
    return f"{score['mean']:.2f}" + ("" if score["std"] is None else f"\n± {score['std']:.2f}")


def _name_axes(axes: Axes, down: Axis, across: Axis) -> None:
    """Label both axes; numbers increase upwards, and names are listed downwards."""
    rows = len(down.values)
    axes.set_ylim(*((-0.5, rows - 0.5) if down.is_numeric else (rows - 0.5, -0.5)))
    axes.set_yticks(range(rows), down.names)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(across.title)
    axes.set_ylabel(down.title)
    name_places(axes, across.names, _CELL_WIDTH * len(across.names))
