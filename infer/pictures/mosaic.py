"""A mosaic: rows of equally large images under the names of their columns, a pixel being whole dots."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infer.pictures.style import STYLE, text_width

_CELL = 0.8
"""Inches along an image's edge; all lengths are inches where they are not dots."""
_SMALLEST_CELL, _LARGEST_CELL = 128, 256
"""Dots along an image's edge: images below are enlarged by a whole number, images above are reduced."""
_MARGIN, _GAP, _WIDE_GAP = 0.15, 0.05, 0.22
_TITLE_SIZE, _TEXT_SIZE, _HEAD_SIZE, _SMALLEST_HEAD_SIZE = 12, 10, 9, 6.5
_TITLE_HEIGHT, _LINE_HEIGHT, _HALF_CAPITAL = 0.3, 0.185, 0.05


@dataclass(frozen=True)
class Row:
    """Images side by side: float [H, W, 3] in [0, 1] or uint8; None leaves a place empty."""

    label: str
    """Up to four lines, left of the row."""
    images: Sequence[np.ndarray | None]
    lead: np.ndarray | None = None
    """An image that stands before the columns."""
    apart: bool = False
    """Whether a wide gap separates it from the row above."""


@dataclass(frozen=True)
class Mosaic:
    """What is to be seen; the size of the figure follows from it."""

    title: str
    heads: Sequence[str]
    """The names of the columns; two lines hold what they can, an ellipsis stands for the rest."""
    rows: Sequence[Row]
    lead_head: str = ""
    """Stands above the leads."""
    note: str = ""
    """Stands below the title, in as many lines as it takes."""

    def figure(self) -> Figure:
        """The drawing. Images of up to 256 pixels are shown as they are, a pixel being a square of dots."""
        layout = _Layout(self)
        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=(layout.width / layout.dpi, layout.height / layout.dpi), dpi=layout.dpi)
            limits = {"xlim": (0, layout.width), "ylim": (layout.height, 0)}
            canvas = figure.add_axes((0, 0, 1, 1), autoscale_on=False, **limits)
            canvas.set_axis_off()
            _write_words(canvas, layout)
            for row, top in zip(self.rows, layout.tops, strict=True):
                _draw_row(canvas, layout, row, top)
        return figure


def fit(text: str, width: float, size: float, max_lines: int | None = None) -> str:
    """``text`` in lines of up to ``width`` inches; an ellipsis stands for what ``max_lines`` cannot hold."""
    for length in range(len(text), 0, -1):
        lines = textwrap.wrap(text, length, max_lines=max_lines, placeholder="…")
        if text_width("\n".join(lines), size) <= width:
            return "\n".join(lines)
    return ""


class _Layout:
    """Where everything stands, in dots from the upper left corner."""

    def __init__(self, mosaic: Mosaic) -> None:
        self.mosaic = mosaic
        names = [head.replace("_", " ") for head in mosaic.heads]
        self.head_size = _size_for([word for name in names for word in name.split()])
        self.heads = [fit(name, _CELL, self.head_size, max_lines=2) for name in names]
        pixels = next(len(image) for row in mosaic.rows for image in row.images if image is not None)
        self.cell = min(pixels * math.ceil(_SMALLEST_CELL / pixels), _LARGEST_CELL)
        self.dpi = round(self.cell / _CELL)
        self.margin, self.gap, self.wide_gap = map(self.dots, (_MARGIN, _GAP, _WIDE_GAP))
        self.has_leads = any(row.lead is not None for row in mosaic.rows)
        self.note = fit(mosaic.note, (self.width - 2 * self.margin) / self.dpi, _TEXT_SIZE)

    def dots(self, inches: float) -> int:
        return round(inches * self.dpi)

    @cached_property
    def lead_left(self) -> int:
        labels = max(text_width(row.label, _TEXT_SIZE) for row in self.mosaic.rows)
        return self.margin + (self.dots(labels) + self.wide_gap if labels else 0)

    @cached_property
    def column_lefts(self) -> list[int]:
        first = self.lead_left + (self.cell + self.wide_gap if self.has_leads else 0)
        return [first + column * (self.cell + self.gap) for column in range(len(self.heads))]

    @cached_property
    def width(self) -> int:
        title = self.dots(text_width(self.mosaic.title, _TITLE_SIZE, "bold"))
        return max(self.column_lefts[-1] + self.cell, self.margin + title) + self.margin

    @cached_property
    def tops(self) -> list[int]:
        head_lines = max(_count_lines(head) for head in [*self.heads, self.mosaic.lead_head])
        lines = _count_lines(self.note) + head_lines
        tops, top = [], self.margin + self.dots(_TITLE_HEIGHT + lines * _LINE_HEIGHT) + 3 * self.gap
        for row in self.mosaic.rows:
            tops.append(top + (self.wide_gap if row.apart else 0))
            top = tops[-1] + self.cell + self.gap
        return tops

    @property
    def height(self) -> int:
        return self.tops[-1] + self.cell + self.margin


def _write_words(canvas: Axes, layout: _Layout) -> None:
    left, top = layout.margin, layout.margin
    _write(canvas, left, top, layout.mosaic.title, _TITLE_SIZE, weight="bold", va="top")
    middle_of_note = top + layout.dots(_TITLE_HEIGHT + _count_lines(layout.note) * _LINE_HEIGHT / 2)
    _write_lines(canvas, layout, left, middle_of_note, layout.note, _TEXT_SIZE, color="#555555")
    lefts = [layout.lead_left, *layout.column_lefts]
    for left, head in zip(lefts, [layout.mosaic.lead_head, *layout.heads], strict=True):
        middle = layout.tops[0] - layout.gap - layout.dots(_count_lines(head) * _LINE_HEIGHT / 2)
        _write_lines(canvas, layout, left + layout.cell / 2, middle, head, layout.head_size, ha="center")


def _draw_row(canvas: Axes, layout: _Layout, row: Row, top: int) -> None:
    _write_lines(canvas, layout, layout.margin, top + layout.cell / 2, row.label, _TEXT_SIZE)
    lefts = [layout.lead_left, *layout.column_lefts]
    for left, image in zip(lefts, [row.lead, *row.images], strict=True):
        if image is not None:
            canvas.imshow(
                image,
                extent=(left, left + layout.cell, top + layout.cell, top),
                interpolation="nearest" if len(image) <= layout.cell else "antialiased",
                aspect="auto",
            )


def _write_lines(canvas: Axes, layout: _Layout, x: float, middle: float, text: str, size: float, **look: str) -> None:
    """Write lines around ``middle``, equally far apart whatever their letters."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        y = middle + layout.dots((number - (len(lines) - 1) / 2) * _LINE_HEIGHT)
        _write(canvas, x, y + layout.dots(_HALF_CAPITAL), line, size, va="baseline", **look)


def _write(canvas: Axes, x: float, y: float, text: str, size: float, **look: str) -> None:
    # Names come from users: a dollar sign in them starts no formula.
    canvas.text(x, y, text, size=size, parse_math=False, **look)


def _size_for(words: Sequence[str]) -> float:
    """The size in points at which words fit above an image, but for those that would have to be too small."""
    widths = [text_width(word, 1) for word in words]
    widest = max((width for width in widths if width * _SMALLEST_HEAD_SIZE <= _CELL), default=0)
    return min(_HEAD_SIZE, _CELL / widest) if widest else _HEAD_SIZE


def _count_lines(text: str) -> int:
    return len(text.splitlines())
