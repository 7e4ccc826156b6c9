"""Frame of a sweep's plots: a title and a warning above, a caption below, and names along the x axis."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from infer.plots.style import WARNING_COLOUR, rotate_if_crowded, write_caption, write_title

_DPI = 300
_INITIAL_SIZE = (12.0, 10.0)
"""Inches of the figure before it gets its size: large enough for the layout engine, however long the text is."""
_TITLE_SIZE, _TEXT_SIZE = 10, 7.5
_NAME_GAP = 0.1
"""Inches between two names."""


@dataclass(frozen=True)
class Words:
    """Text around a plot."""

    title: str
    measurement: str
    """Meaning of a point and its error bar."""
    notes: Sequence[str] = ()
    warning: str | None = None
    """Warning below the title."""

    @property
    def caption(self) -> str:
        """Text below the plot: the measurement and the notes."""
        return "; ".join(filter(None, [self.measurement, *self.notes]))


def framed(words: Words) -> tuple[Figure, SubFigure]:
    """A figure with ``words`` around a subfigure for the axes."""
    figure = Figure(figsize=_INITIAL_SIZE, dpi=_DPI)
    write_title(figure, words.title, size=_TITLE_SIZE)
    write_caption(figure, words.caption, size=_TEXT_SIZE)
    body = _inside(figure)
    if words.warning:
        write_title(body, words.warning, size=_TEXT_SIZE, color=WARNING_COLOUR)
        body = _inside(body)  # a legend of the outer subfigure would overlap the end of the warning
    return figure, body


def _inside(figure: Figure | SubFigure) -> SubFigure:
    """A subfigure in the space that the text around ``figure`` leaves."""
    inner: SubFigure = figure.subfigures(1, 1, squeeze=False)[0, 0]
    return inner


def name_places(axes: Axes, names: Sequence[str], inches: float) -> None:
    """Write ``names`` at 0, 1, ... below axes that are ``inches`` wide, rotated where they are too long."""
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    room = inches / len(names) - _NAME_GAP
    rotate_if_crowded(axes.get_xticklabels(), room, rotation=30, ha="right", rotation_mode="anchor")
