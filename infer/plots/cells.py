"""Cells of heat maps: their colours, and legible numbers in them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.image import AxesImage

COLOURS = "cividis"  # lower values are darker for all kinds of colour vision and in grey print
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_DARK_LUMINANCE = 0.45
"""Luminance of a cell below which text on it is white."""


def colours_of(values: Sequence[float]) -> ScalarMappable:
    """Colour map from the smallest to the largest of ``values``, which may be equal."""
    return ScalarMappable(Normalize(min(values), max(max(values), min(values) + 1e-9)), COLOURS)


def ink_on(colour: Sequence[float]) -> str:
    """The colour of text on a background of ``colour``, RGB or RGBA in [0, 1]."""
    return "white" if _LUMINANCE @ np.array(colour[:3]) < _DARK_LUMINANCE else "black"


def numbered_cells(
    axes: Axes,
    values: np.ndarray,
    form: str | None,
    low: float,
    high: float,
    colours: str = COLOURS,
    size: float = 8,
    least: float = -np.inf,
) -> AxesImage:
    """A heat map of ``values`` [rows, columns].

    If ``form`` (a format specification) is given, values of at least ``least`` are written in their cells. NaN leaves a
    cell empty.
    """
    image = axes.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="equal")
    for (row, column), value in np.ndenumerate(values):
        if form is not None and value >= least:
            ink = ink_on(image.to_rgba(value))  # type: ignore[arg-type] # matplotlib's type is that of several colours
            axes.text(column, row, format(value, form), ha="center", va="center", size=size, color=ink)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return image
