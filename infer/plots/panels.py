"""Sheet of curves: sections below each other, each a subfigure with a legend and panels side by side."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from infer.plots.style import PALETTE, TICK_STEPS, write_title

_WIDTH, _DPI = 10.0, 160
_TITLE_INCHES, _SECTION_INCHES, _LEGEND_LINE_INCHES = 0.45, 2.85, 0.2
_LEGEND_CHARACTERS = 120
"""Number of characters in a line of the legend; a handle counts as ``_HANDLE_CHARACTERS``."""
_HANDLE_CHARACTERS = 8
_MOST_MARKED_POINTS = 12
"""Largest number of points of a curve with markers, without which a line of one point would be invisible."""


@dataclass(frozen=True)
class Curve:
    """Mean or median of several runs of the same training, with their range."""

    label: str
    """Label in the legend; curves with the same label have the same colour in all panels of a section."""
    x: np.ndarray
    """[points]."""
    centre: np.ndarray
    """[points]; drawn as a line."""
    low: np.ndarray
    """[points]; the area between ``low`` and ``high`` is shaded."""
    high: np.ndarray
    """[points]."""

    @classmethod
    def median(cls, label: str, x: np.ndarray, runs: np.ndarray) -> "Curve":
        """The median and range of ``runs`` [points, n]."""
        return cls(label, x, np.median(runs, axis=1), runs.min(axis=1), runs.max(axis=1))

    @classmethod
    def mean(cls, label: str, x: np.ndarray, runs: np.ndarray) -> "Curve":
        """The mean and range of ``runs`` [points, n]."""
        return cls(label, x, runs.mean(axis=1), runs.min(axis=1), runs.max(axis=1))


@dataclass(frozen=True)
class Panel:
    """Curves in the same axes."""

    x_label: str
    y_label: str
    curves: Sequence[Curve]
    scale: Literal["linear", "percent", "log"] = "linear"
    """Scale of the y axis: "percent" stays within 0 and 100; "log" is linear where values span less than a factor of
    ten."""


@dataclass(frozen=True)
class Section:
    """Panels with a common legend."""

    title: str
    panels: Sequence[Panel]

    @property
    def labels(self) -> list[str]:
        """All different labels, in the order of first use."""
        return list(dict.fromkeys(curve.label for panel in self.panels for curve in panel.curves))

    @property
    def legend_columns(self) -> int:
        """Number of columns of the legend."""
        entry = max(map(len, self.labels)) + _HANDLE_CHARACTERS
        return min(len(self.labels), max(1, _LEGEND_CHARACTERS // entry))

    @property
    def height(self) -> float:
        """Height in inches."""
        return _SECTION_INCHES + (math.ceil(len(self.labels) / self.legend_columns) - 1) * _LEGEND_LINE_INCHES


def sheet(title: str, sections: Sequence[Section]) -> Figure:
    """Draw ``sections`` below each other; every section must have a panel, and every panel a curve."""
    heights = [section.height for section in sections]
    figure = Figure(figsize=(_WIDTH, _TITLE_INCHES + sum(heights)), dpi=_DPI)
    write_title(figure, title, size=11)
    subfigures = figure.subfigures(len(sections), 1, squeeze=False, height_ratios=heights)[:, 0]
    for section, subfigure in zip(sections, subfigures, strict=True):
        _draw_section(subfigure, section)
    return figure


def _draw_section(subfigure: SubFigure, section: Section) -> None:
    looks = {label: _look(number) for number, label in enumerate(section.labels)}
    all_axes = subfigure.subplots(1, len(section.panels), squeeze=False)[0]
    for axes, panel in zip(all_axes, section.panels, strict=True):
        _draw_panel(axes, panel, looks)
    handles = [Line2D([], [], label=label, **look) for label, look in looks.items()]
    columns = section.legend_columns
    subfigure.legend(
        # matplotlib fills the legend column by column; this order makes it readable row by row.
        handles=[handle for first in range(columns) for handle in handles[first::columns]],
        loc="outside upper left",
        title=section.title,
        title_fontproperties={"weight": "bold", "size": 10},
        alignment="left",
        ncols=columns,
        handlelength=1.6,
        columnspacing=1.6,
    )


def _look(number: int) -> dict[str, Any]:
    """Colour of the curve ``number``, and dashes once all colours are used."""
    cycle, place = divmod(number, len(PALETTE))
    return {"color": PALETTE[place], "linestyle": "--" if cycle else "-"}


def _draw_panel(axes: Axes, panel: Panel, looks: Mapping[str, dict[str, Any]]) -> None:
    clip = panel.scale == "log"  # on other scales all values are inside, and markers at 0 and 100 % are not cut
    for curve in reversed(panel.curves):  # the first one, that of the run itself, is drawn on top
        look = looks[curve.label]
        marker = "o" if len(curve.x) <= _MOST_MARKED_POINTS else ""
        shade: dict[str, Any] = {"color": look["color"], "alpha": 0.18, "linewidth": 0}
        axes.fill_between(curve.x, curve.low, curve.high, clip_on=clip, **shade)
        axes.plot(curve.x, curve.centre, label=curve.label, marker=marker, markersize=3, clip_on=clip, **look)
    axes.set_xlim(0, 1.02 * max(1, *(curve.x[-1] for curve in panel.curves)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, steps=TICK_STEPS))
    axes.set_xlabel(panel.x_label)
    axes.set_title(panel.y_label)
    _scale(axes, panel)


def _scale(axes: Axes, panel: Panel) -> None:
    """Set the scale of the y axis, with plain numbers as tick labels."""
    centres = np.concatenate([curve.centre for curve in panel.curves])
    positive = centres[centres > 0]
    span = positive.max() / positive.min() if positive.size else 1
    if panel.scale == "log" and span >= 10:
        axes.set_yscale("log", nonpositive="clip")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 300 else (1,), numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        return
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=TICK_STEPS))
    if panel.scale == "percent":
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, 0), min(high, 100))
