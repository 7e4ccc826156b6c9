"""Plot of accuracy over a swept setting or over bytes: points with error bars, in one style per combination of the
other settings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, nan
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from matplotlib.transforms import ScaledTranslation

from infer.plots.axes import Axis, spans_a_decade
from infer.plots.charts import Chart, Line, Mark
from infer.plots.frame import Words, framed, name_places
from infer.plots.style import MARKERS, NOTE_COLOUR, PALETTE, POINTS_PER_INCH, TICK_STEPS, give_axes_size
from infer.records.measurements import in_words

_WIDTH, _HEIGHT, _SMALL_WIDTH, _SMALL_HEIGHT = 3.6, 2.6, 2.3, 1.9
"""Inches of the axes: of a single panel, and of each of several."""
_PANELS_PER_ROW = 3
_DASHES = ("-", "--", ":", "-.")
_MOST_TICKS = 8
_MOST_SHIFT_POINTS = 4.0
"""Largest horizontal shift, in points of type, between marks that would otherwise overlap."""
_ZERO_START_SHARE = 0.35
"""Largest ratio of the lowest to the highest value for which the y axis starts at zero."""
_LEAST_SPAN = 2.0
"""Smallest range of the y axis in percentage points, so that noise does not fill it."""


@dataclass(frozen=True)
class Scale:
    """The x axis: its title, and the swept setting with the places of ticks."""

    title: str
    axis: Axis | None
    """The swept setting; None for bytes."""

    @property
    def is_named(self) -> bool:
        """True if ticks have names instead of numbers."""
        return self.axis is not None and not self.axis.is_numeric


def line_plot(chart: Chart, scale: Scale, y_title: str, words: Words) -> Figure:
    """Draw ``chart``; all panels have the same limits of the y axis."""
    looks = _looks(chart)
    limits = _limits(chart.marks)
    several = len(chart.panels) > 1
    width, height = (_SMALL_WIDTH, _SMALL_HEIGHT) if several else (_WIDTH, _HEIGHT)
    figure, body = framed(_all_words(chart, scale, limits[0], words))
    all_axes = _axes_of(body, len(chart.panels))
    for panel, axes in zip(chart.panels, all_axes, strict=True):
        _draw_lines(axes, panel.lines, chart, looks, _shift(scale, len(looks), width))
        axes.set_title(panel.title)
        axes.set_xlabel(scale.title)
        axes.set_ylim(*limits)
        axes.yaxis.set_major_locator(_percent_ticks(limits))
        if scale.axis is not None and scale.is_named:
            name_places(axes, scale.axis.names, width)
        else:
            _scale_x(axes, scale, chart.marks)
        spec = axes.get_subplotspec()
        if spec is not None and spec.is_first_col():
            axes.set_ylabel(y_title)
    _legend(body, looks, chart.connected)
    give_axes_size(figure, all_axes[0], width, height)
    return figure


def _axes_of(body: SubFigure, panels: int) -> list[Axes]:
    """Axes of the panels, row by row."""
    columns = 2 if panels == 4 else min(panels, _PANELS_PER_ROW)
    grid = body.add_gridspec(ceil(panels / columns), columns)
    return [body.add_subplot(grid[divmod(number, columns)]) for number in range(panels)]


def _all_words(chart: Chart, scale: Scale, start: float, words: Words) -> Words:
    """``words`` with further notes on this chart."""
    moved = ["points at one value are drawn side by side"] * (scale.axis is not None and len(chart.combinations) > 1)
    starts = [] if start == 0 else [f"the y axis starts at {start:g} %, not at 0"]
    measurement = words.measurement if chart.measures_students else ""
    return replace(words, measurement=measurement, notes=[*chart.notes, *words.notes, *moved, *starts])


def _draw_lines(
    axes: Axes, lines: Sequence[Line], chart: Chart, looks: Mapping[str, dict[str, Any]], shift: float
) -> None:
    """Draw ``lines`` with their marks side by side at each place, ``shift`` points of type apart."""
    order = list(looks)
    for line in lines:
        points = (order.index(line.label) - (len(order) - 1) / 2) * shift / POINTS_PER_INCH
        moved = axes.transData + ScaledTranslation(points, 0, axes.figure.dpi_scale_trans)
        look = looks[line.label]
        x, y, bars = zip(*_with_gaps(line.marks), strict=True)
        axes.errorbar(
            x,
            y,
            yerr=bars,
            label=line.label,
            transform=moved,
            elinewidth=0.9,
            capsize=2,
            markersize=4.5,
            **look | ({} if chart.connected else {"linestyle": "none"}),
        )
        ringed = [mark for mark in line.marks if mark in chart.front]
        rings = [mark.x for mark in ringed], [mark.score["mean"] for mark in ringed]
        axes.plot(*rings, "o", transform=moved, markersize=9, markerfacecolor="none", markeredgecolor=NOTE_COLOUR)


def _with_gaps(marks: Sequence[Mark]) -> Iterator[tuple[float, float, float]]:
    """Place, mean and error bar of every point, with NaN between two points where a job is missing."""
    for before, mark in zip([None, *marks], marks, strict=False):
        if before is not None and mark.step > before.step + 1:
            yield mark.x, nan, nan
        yield mark.x, mark.score["mean"], nan if mark.score["std"] is None else mark.score["std"]


def _shift(scale: Scale, lines: int, inches: float) -> float:
    """Shift between neighbouring marks in points of type: smaller where places are close together, 0 over bytes."""
    if scale.axis is None:
        return 0
    room = 0.6 if scale.is_named else 0.2
    return min(_MOST_SHIFT_POINTS, room * inches * POINTS_PER_INCH / len(scale.axis.values) / lines)


def _looks(chart: Chart) -> dict[str, dict[str, Any]]:
    """Colour, marker and dashes per line. With two axes, colours are those of the one with more values."""
    combinations = chart.combinations
    places = [divmod(number, len(PALETTE))[::-1] for number in range(len(combinations))]
    if len(chart.axes) == 2:
        long, short = sorted(chart.axes, key=lambda axis: -len(axis.values))
        if len(long.values) <= len(PALETTE) and len(short.values) <= len(_DASHES):
            places = [(long.rank(values[long.key]), short.rank(values[short.key])) for values in combinations]
    return {in_words(values): _look(*place) for values, place in zip(combinations, places, strict=True)}


def _look(colour: int, dashes: int) -> dict[str, Any]:
    return {
        "color": PALETTE[colour],
        "marker": MARKERS[colour],
        "linestyle": _DASHES[dashes],
        "markerfacecolor": "white" if dashes % 2 else PALETTE[colour],
    }


def _legend(body: SubFigure, looks: Mapping[str, dict[str, Any]], connected: bool) -> None:
    """Draw the legend beside the panels, unless there is a single line, which has no label."""
    if not any(looks):
        return
    hidden: dict[str, Any] = {} if connected else {"linestyle": "none"}
    body.legend(
        handles=[Line2D([], [], label=label, markersize=4.5, **look | hidden) for label, look in looks.items()],
        loc="outside right upper",
        fontsize=8,
        handlelength=2.4,
    )


def _limits(marks: Sequence[Mark]) -> tuple[float, float]:
    """Limits of the y axis: from zero where the lowest value is low enough, otherwise close around the values."""
    low = min(mark.score["mean"] - (mark.score["std"] or 0) for mark in marks)
    high = max(mark.score["mean"] + (mark.score["std"] or 0) for mark in marks)
    margin = max(0.06 * (high - low), (_LEAST_SPAN - (high - low)) / 2)
    start = 0 if low <= _ZERO_START_SHARE * high else floor(10 * max(low - margin, 0)) / 10
    return start, high + margin


def _percent_ticks(limits: tuple[float, float]) -> FixedLocator:
    ticks = MaxNLocator(nbins=6, steps=TICK_STEPS).tick_values(*limits)
    return FixedLocator([tick for tick in ticks if limits[0] <= tick <= min(limits[1], 100)])


def _scale_x(axes: Axes, scale: Scale, marks: Sequence[Mark]) -> None:
    places = sorted({mark.x for mark in marks})
    _set_numeric_limits(axes, places)
    if scale.axis is None:
        axes.xaxis.set_major_formatter(EngFormatter(unit="B", sep=" "))
    elif len(places) <= _MOST_TICKS:
        axes.set_xticks(places, [f"{place:.6g}" for place in places])
        axes.xaxis.set_minor_locator(NullLocator())
    elif axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=all(place.is_integer() for place in places)))


def _set_numeric_limits(axes: Axes, places: Sequence[float]) -> None:
    """Set the scale, logarithmic where ``places`` span more than a decade, and limits with a margin at both ends."""
    low, high = places[0], places[-1]
    if spans_a_decade(places):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 300 else (1,)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(low * (low / high) ** 0.06, high * (high / low) ** 0.06)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=TICK_STEPS))
        axes.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
