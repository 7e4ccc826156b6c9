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


def as_array(values: Any) -> np.ndarray:
    """Nested lists with None for what is undefined as a float array with NaN."""
    return np.array(values, dtype=float)


def mean(values: Any) -> float | None:
    """Mean of the values that are defined, in nested lists or an array; None where there is none."""
    array = as_array(values)
    return float(np.nanmean(array)) if np.isfinite(array).any() else None


def written(value: float | None, form: str = ".2f") -> str:
    """A number in a sentence; ``undefined`` for None."""
    return "undefined" if value is None else format(value, form)
