"""Mosaic: rows of images of the same size under the names of their columns, with pixels of a whole number of dots."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from infer.plots.style import NOTE_COLOUR, give_axes_size, rotate_if_crowded, write_title

_CELL = 0.8
"""Edge of an image in inches."""
_SMALLEST_CELL, _LARGEST_CELL = 128, 256
"""Edge of an image in dots: smaller images are enlarged by a whole number, larger ones are reduced."""
_GAP, _WIDE_GAP = 0.05, 0.22
"""Inches between images, and between groups of them."""
_LEAST_WIDTH = 4.0
_TITLE_SIZE, _TEXT_SIZE = 11, 8.5
_HEAD_CHARACTERS, _HEAD_LINES = 11, 2
_TURNED_HEAD_CHARACTERS = 24


@dataclass(frozen=True)
class Row:
    """Images of a row, [H, W, 3], float in [0, 1] or uint8; None leaves a place empty."""

    label: str
    """Text of up to four lines at the left of the row."""
    images: Sequence[np.ndarray | None]
    lead: np.ndarray | None = None
    """Image at the left of the first column."""
    apart: bool = False
    """True if a wide gap separates the row from the row above."""


@dataclass(frozen=True)
class Mosaic:
    """Content of a mosaic, which determines the size of the figure."""

    title: str
    heads: Sequence[str]
    """Names of the columns; they are wrapped into two lines, and an ellipsis replaces the rest."""
    rows: Sequence[Row]
    lead_head: str = ""
    """Name of the column of leads."""
    note: str = ""
    """Text below the title, wrapped into lines."""

    def figure(self) -> Figure:
        """The figure. In images of up to 256 pixels, every pixel is a square of dots."""
        grid = _Grid.of(self)
        figure = Figure(figsize=(grid.width / grid.dpi + 3, grid.height / grid.dpi + 3), dpi=grid.dpi)
        write_title(figure, self.title, size=_TITLE_SIZE)
        (body,) = figure.subfigures(1, 1, squeeze=False).flat
        if self.note:
            write_title(body, self.note, size=_TEXT_SIZE, weight="normal", color=NOTE_COLOUR)
        axes = body.subplots()
        axes.set(xlim=(0, grid.width), ylim=(grid.height, 0), autoscale_on=False)
        for image, left, top in grid.images(self.rows):
            _draw_image(axes, image, left, top, grid.cell)
        _name_rows_and_columns(axes, self, grid)
        give_axes_size(figure, axes, grid.width / grid.dpi, grid.height / grid.dpi, _LEAST_WIDTH)
        _snap_to_dots(figure, axes, grid)
        return figure


@dataclass(frozen=True)
class _Grid:
    """Positions of the images, in dots from the upper left corner of the axes."""

    cell: int
    dpi: int
    lead_left: int | None
    """None without leads."""
    column_lefts: Sequence[int]
    tops: Sequence[int]

    @classmethod
    def of(cls, mosaic: Mosaic) -> "_Grid":
        pixels = next(len(image) for row in mosaic.rows for image in row.images if image is not None)
        cell = min(pixels * math.ceil(_SMALLEST_CELL / pixels), _LARGEST_CELL)
        dpi = round(cell / _CELL)
        gap, wide_gap = round(_GAP * dpi), round(_WIDE_GAP * dpi)
        has_leads = any(row.lead is not None for row in mosaic.rows)
        first = cell + wide_gap if has_leads else 0
        apart = np.cumsum([row.apart for row in mosaic.rows])
        return cls(
            cell=cell,
            dpi=dpi,
            lead_left=0 if has_leads else None,
            column_lefts=[first + column * (cell + gap) for column in range(len(mosaic.heads))],
            tops=[row * (cell + gap) + int(apart[row]) * wide_gap for row in range(len(mosaic.rows))],
        )

    @property
    def width(self) -> int:
        return self.column_lefts[-1] + self.cell

    @property
    def height(self) -> int:
        return self.tops[-1] + self.cell

    def images(self, rows: Sequence[Row]) -> Iterator[tuple[np.ndarray, int, int]]:
        """Every image, with the left and the top edge of its cell."""
        for row, top in zip(rows, self.tops, strict=True):
            if row.lead is not None and self.lead_left is not None:
                yield row.lead, self.lead_left, top
            for image, left in zip(row.images, self.column_lefts, strict=True):
                if image is not None:
                    yield image, left, top


def _draw_image(axes: Axes, image: np.ndarray, left: int, top: int, cell: int) -> None:
    axes.imshow(
        image,
        extent=(left, left + cell, top + cell, top),
        interpolation="nearest" if len(image) <= cell else "antialiased",
        aspect="auto",
    )


def _name_rows_and_columns(axes: Axes, mosaic: Mosaic, grid: _Grid) -> None:
    """Write the names beside and above the axes, as tick labels."""
    middle = grid.cell / 2
    heads = dict(zip(grid.column_lefts, mosaic.heads, strict=True))
    if grid.lead_left is not None:
        heads = {grid.lead_left: mosaic.lead_head} | heads
    names = [head.replace("_", " ") for head in heads.values()]
    axes.set_xticks([left + middle for left in heads], [_wrapped(name, _HEAD_CHARACTERS) for name in names])
    axes.set_yticks([top + middle for top in grid.tops], [row.label for row in mosaic.rows])
    axes.tick_params(length=0, labelsize=_TEXT_SIZE, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    labels = axes.get_xticklabels()
    if rotate_if_crowded(labels[-len(mosaic.heads) :], _CELL + _GAP / 2, rotation=90):
        axes.set_xticks(axes.get_xticks(), [_wrapped(name, _TURNED_HEAD_CHARACTERS) for name in names])


def _wrapped(name: str, characters: int) -> str:
    return "\n".join(textwrap.wrap(name, characters, max_lines=_HEAD_LINES, placeholder="…"))


def _snap_to_dots(figure: Figure, axes: Axes, grid: _Grid) -> None:
    """Move the axes by less than a dot from where the layout engine placed them, so that pixels cover whole dots."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    figure.set_size_inches(*np.ceil(figure.get_size_inches() * grid.dpi) / grid.dpi)
    corner = axes.get_window_extent()
    place = Bbox.from_bounds(round(corner.x0), round(corner.y0), grid.width, grid.height)
    axes.set_position(place.transformed(axes.figure.transSubfigure.inverted()))
