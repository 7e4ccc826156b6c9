"""Plot of costs over sizes: rows of panels for time, memory and bytes, and a column for each size that was varied."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FixedFormatter, FixedLocator, LogLocator, NullLocator

from infer.plots.frame import Words, framed
from infer.plots.style import MARKERS, PALETTE, give_axes_size
from infer.records.scale import AXES, QUANTITIES, CostLine

_WIDTH, _HEIGHT = 2.05, 1.45
"""Inches of a panel."""
_LEAST_WIDTH = 4.5
"""Smallest width of the figure in inches, so that the legend fits above a single column."""
_MEASURED: dict[str, Any] = {"linestyle": "-", "linewidth": 1.8, "markersize": 5}
_EXPECTED: dict[str, Any] = {"linestyle": (0, (4, 2.5)), "linewidth": 1.0, "markersize": 5, "markerfacecolor": "white"}
_DURATIONS = {
    "0.1 s": 0.1,
    "1 s": 1,
    "10 s": 10,
    "1 min": 60,
    "10 min": 600,
    "1 h": 3600,
    "10 h": 36_000,
    "4 days": 345_600,
    "40 days": 3_456_000,
    "1 year": 31_557_600,
    "10 years": 315_576_000,
}
_TITLES = QUANTITIES | {"total_bytes": "set with labels"}


def scale_plot(lines: Sequence[CostLine], title: str) -> Figure:
    """Draw ``lines``: measured costs are solid, estimates of the cost model dashed."""
    columns = [axis for axis in AXES if any(line.axis == axis for line in lines)]
    caption = (
        "both axes logarithmic; a job that was made has its measured cost and the model's beside it, one that was not "
        "made has the model's alone; bytes follow from the sizes"
    )
    figure, body = framed(Words(title=f"costs over sizes: {title}", measurement=caption))
    grid = body.subplots(len(QUANTITIES), len(columns), sharex="col", sharey="row", squeeze=False)
    labels = list(dict.fromkeys(line.fixed for line in lines))
    for quantity, row in zip(QUANTITIES, grid, strict=True):
        for axis, axes in zip(columns, row, strict=True):
            for line in (line for line in lines if line.axis == axis):
                _draw(axes, line, quantity, labels.index(line.fixed))
        row[0].set_ylabel(_TITLES[quantity])
        _scale_y(row[0], quantity)
    for axis, axes in zip(columns, grid[-1], strict=True):
        _scale_x(axes, sorted({costs.sizes[axis] for line in lines if line.axis == axis for costs in line.points}))
        axes.set_xlabel(AXES[axis])
    looks = [
        Line2D([], [], color="#222222", marker="o", label="measured", **_MEASURED),
        Line2D([], [], color="#222222", marker="o", label="estimate of the cost model", **_EXPECTED),
    ]
    named = [Line2D([], [], linestyle="none", **_colour(number), label=label) for number, label in enumerate(labels)]
    body.legend(
        handles=[*looks, *named], loc="outside upper left", ncols=min(2, len(columns)), fontsize=8, handlelength=3
    )
    give_axes_size(figure, grid[0, 0], _WIDTH, _HEIGHT, _LEAST_WIDTH)
    return figure


def _colour(number: int) -> dict[str, Any]:
    return {"color": PALETTE[number % len(PALETTE)], "marker": MARKERS[number % len(MARKERS)]}


def _draw(axes: Axes, line: CostLine, quantity: str, number: int) -> None:
    """Draw the estimates over all sizes, and the measured costs on top of them."""
    for look, source in ((_EXPECTED, "expected"), (_MEASURED, "measured")):
        known = [(costs.sizes[line.axis], getattr(costs, source).get(quantity)) for costs in line.points]
        points = [(size, value) for size, value in known if value]
        if points:
            axes.plot(*zip(*points, strict=True), **_colour(number) | look)


def _scale_y(axes: Axes, quantity: str) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    if quantity == "seconds":
        axes.yaxis.set_major_locator(FixedLocator(list(_DURATIONS.values())))
        axes.yaxis.set_major_formatter(FixedFormatter(list(_DURATIONS)))
    else:
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,)))
        axes.yaxis.set_major_formatter(EngFormatter(unit="B", sep=" "))


def _scale_x(axes: Axes, sizes: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = sizes[0], sizes[-1]
    axes.set_xlim(low * (low / high) ** 0.08, high * (high / low) ** 0.08)
