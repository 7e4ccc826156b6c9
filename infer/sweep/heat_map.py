"""Accuracy over two swept settings at once: a cell per combination with its number in it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from infer.pictures.style import text_width
from infer.records.measurements import Measurement
from infer.records.statistics import Summary
from infer.sweep.axes import Axis
from infer.sweep.frame import Frame, Words
from infer.sweep.tick_names import SIZE, name_places, room_for

_CELL_WIDTH, _CELL_HEIGHT, _NUMBER_SIZE = 0.72, 0.46, 8
_BELOW, _Y_TITLE, _COLOUR_BAR, _COLOUR_BAR_GAP, _BESIDE = 0.55, 0.4, 0.14, 0.15, 0.75
_LEAST_HEIGHT = 1.1
"""Inches that the title of the colour bar needs."""
_MOST_TICKS = 4
_COLOURS = "cividis"  # darker is lower for every kind of colour vision and in grey print
_MISSING = "#e0e0e0"
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])

Cells = Mapping[tuple[int, int], Summary]
"""Scores by row and column."""


def heat_map(axes: Sequence[Axis], points: Sequence[Measurement], value_title: str, words: Words) -> Figure:
    """Draw the leading score of ``points`` over two axes."""
    down, across = sorted(axes, key=_belongs_across)
    cells = {
        (down.rank(point.values[down.key]), across.rank(point.values[across.key])): point.leading for point in points
    }
    missing = len(down.values) * len(across.values) - len(cells)
    hatched = [f"hatched: {missing} without a score"] if missing else []
    width = _CELL_WIDTH * len(across.values)
    left, below = room_for(across.names, width)
    frame = Frame(
        words=replace(words, notes=[*words.notes, *hatched]),
        width=width,
        height=max(_CELL_HEIGHT * len(down.values), _LEAST_HEIGHT),
        left=max(_longest(down) + _Y_TITLE, left),
        below=_BELOW + below,
        right=_COLOUR_BAR_GAP + _COLOUR_BAR + _BESIDE,
    )
    figure, (drawn,) = frame.draw()
    colours = _colours(cells)
    _draw_cells(drawn, cells, (len(down.values), len(across.values)), colours)
    _name_axes(drawn, down, across)
    name_places(drawn, across.names, width)
    _add_colour_bar(figure, drawn, colours, value_title)
    return figure


def _belongs_across(axis: Axis) -> tuple[bool, float]:
    """Long names are read best beside the rows; of two numeric axes the one with more values goes across."""
    return axis.is_numeric, len(axis.values) if axis.is_numeric else -_longest(axis)


def _longest(axis: Axis) -> float:
    """The width of the axis' longest name in inches."""
    return max(text_width(name, SIZE) for name in axis.names)


def _colours(cells: Cells) -> ScalarMappable:
    means = [score["mean"] for score in cells.values()]
    return ScalarMappable(Normalize(min(means), max(max(means), min(means) + 1e-9)), _COLOURS)


def _draw_cells(axes: Axes, cells: Cells, shape: tuple[int, int], colours: ScalarMappable) -> None:
    for row, column in np.ndindex(shape):
        score = cells.get((row, column))
        colour = _MISSING if score is None else colours.to_rgba(score["mean"])
        corner = (column - 0.5, row - 0.5)
        hatch = "////" if score is None else None
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8, hatch=hatch))
        if score is not None:
            axes.text(column, row, _number(score), ha="center", va="center", size=_NUMBER_SIZE, color=_ink(colour))


def _number(score: Summary) -> str:
    return f"{score['mean']:.2f}" + ("" if score["std"] is None else f"\n± {score['std']:.2f}")


def _ink(colour: Sequence[float]) -> str:
    return "white" if _LUMINANCE @ np.array(colour[:3]) < 0.45 else "black"


def _name_axes(axes: Axes, down: Axis, across: Axis) -> None:
    """Numbers grow upwards; names are read downwards."""
    rows = len(down.values)
    axes.set_ylim(*((-0.5, rows - 0.5) if down.is_numeric else (rows - 0.5, -0.5)))
    axes.set_yticks(range(rows), down.names)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(across.title)
    axes.set_ylabel(down.title)


def _add_colour_bar(figure: Figure, axes: Axes, colours: ScalarMappable, title: str) -> None:
    place = axes.get_position()
    inches = figure.get_figwidth()
    bar = figure.add_axes((place.x1 + _COLOUR_BAR_GAP / inches, place.y0, _COLOUR_BAR / inches, place.height))
    figure.colorbar(colours, cax=bar, label=title, ticks=MaxNLocator(_MOST_TICKS))
    bar.grid(False)
