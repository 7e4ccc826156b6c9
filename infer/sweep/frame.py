"""The frame of a sweep's plots: axes of a fixed size, a title above, a legend beside, and a caption below them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infer.pictures.style import text_width

_DPI = 300
_MARGIN, _TITLE_INCHES, _TITLE_GAP, _LINE_INCHES = 0.12, 0.3, 0.08, 0.155
_TITLE_SIZE, _TEXT_SIZE = 10, 7.5
_CAPTION_COLOUR, _WARNING_COLOUR = "#555555", "#D55E00"
_PANELS_PER_ROW = 3


@dataclass(frozen=True)
class Words:
    """What is written around a plot."""

    title: str
    measurement: str
    """What a point and its bar are."""
    notes: Sequence[str] = ()
    warning: str | None = None
    """Stands under the title."""

    @property
    def caption(self) -> str:
        """All that stands below."""
        return "; ".join(filter(None, [self.measurement, *self.notes]))


@dataclass(frozen=True)
class Frame:
    """Sizes in inches of everything around and inside of the axes."""

    words: Words
    width: float
    height: float
    """Of one pair of axes."""
    left: float
    below: float
    """What stands left of and below a pair of axes: ticks and labels."""
    right: float = 0.0
    """For a legend beside the axes."""
    panels: int = 1
    above: float = 0.0
    """For the title of a panel."""

    @property
    def columns(self) -> int:
        """How many panels stand side by side."""
        return 2 if self.panels == 4 else min(self.panels, _PANELS_PER_ROW)

    def draw(self) -> tuple[Figure, list[Axes]]:
        """The figure with its words, and empty axes row by row."""
        rows = math.ceil(self.panels / self.columns)
        inside = self.columns * (self.left + self.width) + self.right
        total = 2 * _MARGIN + max(inside, text_width(self.words.title, _TITLE_SIZE, "bold"))
        warning = wrapped(self.words.warning or "", total - 2 * _MARGIN)
        caption = wrapped(self.words.caption, total - 2 * _MARGIN)
        top = _MARGIN + _TITLE_INCHES + _LINE_INCHES * len(warning)
        height = top + rows * self._row_height + _LINE_INCHES * len(caption) + _MARGIN
        figure = Figure(figsize=(total, height), dpi=_DPI)

        def write(lines: Sequence[str], above: float, **look: Any) -> None:
            figure.text(_MARGIN / total, above / height, "\n".join(lines), **look)

        write([self.words.title], height - _MARGIN, size=_TITLE_SIZE, weight="bold", va="top")
        below_title = height - _MARGIN - _TITLE_INCHES + _TITLE_GAP
        write(warning, below_title, size=_TEXT_SIZE, weight="bold", color=_WARNING_COLOUR, va="top")
        write(caption, _MARGIN, size=_TEXT_SIZE, color=_CAPTION_COLOUR, va="bottom")
        places = (self._place(number, height - top) for number in range(self.panels))
        return figure, [
            figure.add_axes((left / total, bottom / height, self.width / total, self.height / height))
            for left, bottom in places
        ]

    @property
    def _row_height(self) -> float:
        return self.above + self.height + self.below

    def _place(self, number: int, top: float) -> tuple[float, float]:
        """The lower left corner of a pair of axes, in inches; ``top`` is where the first row begins."""
        row, column = divmod(number, self.columns)
        left = _MARGIN + self.left + column * (self.left + self.width)
        return left, top - row * self._row_height - self.above - self.height


def wrapped(text: str, inches: float) -> list[str]:
    """``text`` of a caption in lines of at most ``inches``, as far as its words allow."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", _TEXT_SIZE) <= inches:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
