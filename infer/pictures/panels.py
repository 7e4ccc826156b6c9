"""A sheet of curves: sections under each other, each with a legend of its own and its panels side by side."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from infer.pictures.style import PALETTE, STYLE, TICK_STEPS, text_width

_WIDTH, _DPI = 10.0, 160
_MARGIN, _PANEL_HEIGHT = 0.2, 1.75
_TICKS_LEFT, _TICKS_BELOW, _LABEL_ABOVE = 0.5, 0.5, 0.3
"""Inches that an axis leaves for what is written outside of it."""
_TITLE_SIZE, _SECTION_SIZE, _LEGEND_SIZE = 11, 10, 9
_TITLE_INCHES, _SECTION_INCHES, _LEGEND_INCHES, _AFTER_SECTION = 0.4, 0.26, 0.22, 0.2
_HANDLE_INCHES = 0.6
_FEW_POINTS = 12
"""Up to so many points are marked; a line of one point would not show at all."""


@dataclass(frozen=True)
class Curve:
    """What several runs of the same training went through."""

    label: str
    """Names its colour, in all panels of a section."""
    x: np.ndarray
    """[points]."""
    centre: np.ndarray
    """[points], drawn as a line."""
    low: np.ndarray
    """[points]; up to ``high`` it is shaded."""
    high: np.ndarray

    @classmethod
    def median(cls, label: str, x: np.ndarray, runs: np.ndarray) -> "Curve":
        """``runs`` [points, n]: their median and range."""
        return cls(label, x, np.median(runs, axis=1), runs.min(axis=1), runs.max(axis=1))

    @classmethod
    def mean(cls, label: str, x: np.ndarray, runs: np.ndarray) -> "Curve":
        """``runs`` [points, n]: their mean and range."""
        return cls(label, x, runs.mean(axis=1), runs.min(axis=1), runs.max(axis=1))


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    x_label: str
    y_label: str
    curves: Sequence[Curve]
    scale: Literal["linear", "percent", "log"] = "linear"
    """Of the y axis: percent ends at 0 and 100, log is linear where the values do not span a power of ten."""


@dataclass(frozen=True)
class Section:
    """Panels whose curves carry the same labels."""

    title: str
    panels: Sequence[Panel]

    @property
    def labels(self) -> list[str]:
        """Every label once, in the order of first use."""
        return list(dict.fromkeys(curve.label for panel in self.panels for curve in panel.curves))

    @property
    def legend_columns(self) -> int:
        """How many entries of the legend stand side by side."""
        widest = max(text_width(label, _LEGEND_SIZE) for label in self.labels) + _HANDLE_INCHES
        return min(len(self.labels), max(1, int((_WIDTH - 2 * _MARGIN) / widest)))

    @property
    def legend_inches(self) -> float:
        """Height of the legend."""
        return math.ceil(len(self.labels) / self.legend_columns) * _LEGEND_INCHES

    @property
    def height(self) -> float:
        """In inches."""
        axes = _LABEL_ABOVE + _PANEL_HEIGHT + _TICKS_BELOW
        return _SECTION_INCHES + self.legend_inches + axes + _AFTER_SECTION


def sheet(title: str, sections: Sequence[Section]) -> Figure:
    """Draw ``sections`` under each other; each needs a panel, and each panel a curve."""
    height = 2 * _MARGIN + _TITLE_INCHES + sum(section.height for section in sections) - _AFTER_SECTION
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, height), dpi=_DPI)
        _write(figure, height - _MARGIN, title, _TITLE_SIZE)
        top = height - _MARGIN - _TITLE_INCHES
        for section in sections:
            _draw_section(figure, section, top)
            top -= section.height
    return figure


def _draw_section(figure: Figure, section: Section, top: float) -> None:
    """``top``: inches above the figure's lower edge."""
    height = figure.get_figheight()
    looks = {label: _look(number) for number, label in enumerate(section.labels)}
    _write(figure, top, section.title, _SECTION_SIZE)
    top -= _SECTION_INCHES
    bottom = top - section.legend_inches - _LABEL_ABOVE - _PANEL_HEIGHT
    # Between two panels there is room for the ticks of the right one and half as much again.
    share = (_WIDTH - 2 * _MARGIN + _TICKS_LEFT / 2) / len(section.panels)
    for number, panel in enumerate(section.panels):
        left = _MARGIN + number * share + _TICKS_LEFT
        width = share - 1.5 * _TICKS_LEFT
        axes = figure.add_axes((left / _WIDTH, bottom / height, width / _WIDTH, _PANEL_HEIGHT / height))
        _draw_panel(axes, panel, looks)
    handles = [Line2D([], [], label=label, **look) for label, look in looks.items()]
    columns = section.legend_columns
    figure.legend(
        # matplotlib fills one column after the other; in this order the rows are read.
        handles=[handle for first in range(columns) for handle in handles[first::columns]],
        loc="upper left",
        bbox_to_anchor=(_MARGIN / _WIDTH, top / height),
        ncols=columns,
        borderaxespad=0,
        borderpad=0,
        handlelength=1.6,
        columnspacing=1.6,
    )


def _look(number: int) -> dict[str, str]:
    """Colour and, once all colours are used, dashes for the curve of this number."""
    cycle, place = divmod(number, len(PALETTE))
    return {"color": PALETTE[place], "linestyle": "--" if cycle else "-"}


def _draw_panel(axes: Axes, panel: Panel, looks: Mapping[str, Mapping[str, str]]) -> None:
    clip = panel.scale == "log"  # elsewhere nothing leaves the axes, and dots on 0 and 100 % stay whole
    for curve in reversed(panel.curves):  # the first, a run's own, comes to lie on top
        look = looks[curve.label]
        marker = "o" if len(curve.x) <= _FEW_POINTS else ""
        shade = {"color": look["color"], "alpha": 0.18, "linewidth": 0}
        axes.fill_between(curve.x, curve.low, curve.high, clip_on=clip, **shade)
        axes.plot(curve.x, curve.centre, label=curve.label, marker=marker, markersize=3, clip_on=clip, **look)
    axes.set_xlim(0, 1.02 * max(1, *(curve.x[-1] for curve in panel.curves)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, steps=TICK_STEPS))
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label, rotation=0, ha="left", va="bottom")
    axes.yaxis.set_label_coords(-_TICKS_LEFT / (axes.get_position().width * _WIDTH), 1.05)
    _scale(axes, panel)


def _scale(axes: Axes, panel: Panel) -> None:
    """Give the y axis its scale, and ticks with plain numbers."""
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


def _write(figure: Figure, top: float, text: str, size: float) -> None:
    place = (_MARGIN / _WIDTH, top / figure.get_figheight())
    figure.text(*place, text, size=size, weight="bold", va="top", parse_math=False)
