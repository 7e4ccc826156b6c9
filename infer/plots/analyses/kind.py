"""Kind of an analysis: how its numbers become a sentence and a figure; and what the figures share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infer.config import AnalysisName
from infer.plots.style import write_title

DPI = 200
SET_COLOUR, REAL_COLOUR = "#0072B2", "#D55E00"
"""Colours of the distilled set and of real images."""


@dataclass(frozen=True)
class Kind:
    """One kind of analysis; each function takes the facts of its record."""

    name: AnalysisName
    title: str
    numbers: Callable[[Mapping[str, Any]], dict[str, float | None]]
    """Leading numbers by what they are."""
    sentence: Callable[[Mapping[str, Any]], str]
    figure: Callable[[Mapping[str, Any]], Figure]


def titled_figure(title: str, facts: Mapping[str, Any], width: float, height: float) -> Figure:
    """A figure of ``width`` x ``height`` inches whose title names the set."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    write_title(figure, f"{title}: {facts['set']}", size=10)
    return figure


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write ``names`` beside the rows 0, 1, ... of ``axes``, the first at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")


def numbered_cells(axes: Axes, values: np.ndarray, form: str, low: float, high: float, colours: str) -> None:
    """A heat map of ``values`` [rows, columns] with their numbers in the cells; a NaN leaves its cell empty."""
    image = axes.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="equal")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            luminance = np.array([0.2126, 0.7152, 0.0722]) @ np.array(image.to_rgba(value)[:3])
            ink = "white" if luminance < 0.45 else "black"
            axes.text(column, row, format(value, form), ha="center", va="center", size=8, color=ink)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def as_array(values: Any) -> np.ndarray:
    """Nested lists with None for what is undefined as a float array with NaN."""
    return np.array(values, dtype=float)


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are defined; None where there is none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def written(value: float | None, form: str = ".2f") -> str:
    """A number in a sentence; ``undefined`` for None."""
    return "undefined" if value is None else format(value, form)


def counted(number: int, noun: str) -> str:
    """``1 probe network``, ``2 probe networks``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
