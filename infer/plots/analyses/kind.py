"""Kinds of analyses, each with its sentence and its figure, and functions that the figures share."""

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
    """A kind of analysis. Its functions take the facts from a record of the analysis."""

    name: AnalysisName
    title: str
    numbers: Callable[[Mapping[str, Any]], dict[str, float | None]]
    """Returns the leading numbers by name."""
    sentence: Callable[[Mapping[str, Any]], str]
    figure: Callable[[Mapping[str, Any]], Figure]


def titled_figure(title: str, facts: Mapping[str, Any], width: float, height: float) -> Figure:
    """A figure of ``width`` x ``height`` inches, with ``title`` and the name of the set as its title."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    write_title(figure, f"{title}: {facts['set']}", size=10)
    return figure


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write ``names`` beside the rows 0, 1, ... of ``axes``, the first at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")


def as_array(values: Any) -> np.ndarray:
    """Nested lists as a float array; None, for undefined values, becomes NaN."""
    return np.array(values, dtype=float)


def mean(values: Any) -> float | None:
    """Mean of the defined values in nested lists or an array; None where no value is defined."""
    array = as_array(values)
    return float(np.nanmean(array)) if np.isfinite(array).any() else None


def written(value: float | None, form: str = ".2f") -> str:
    """``value`` as text in a sentence; ``undefined`` for None."""
    return "undefined" if value is None else format(value, form)
