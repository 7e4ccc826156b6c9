"""Numbers that the plots of a sweep show: lines of measured points, divided into readable panels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infer.plots.axes import Axis
from infer.records.measurements import Measurement, in_words
from infer.records.statistics import Summary, summarise
from infer.tables import shown

MOST_LINES = 12
"""Largest number of lines in a panel, beyond which they cannot be distinguished."""
_MOST_PANELS = 9
_BYTES = "total_bytes"
_FRONT_NOTE = "ringed: the Pareto front, better than every other set of at most as many bytes"


@dataclass(frozen=True)
class Mark:
    """One measured point of a line."""

    x: float
    score: Summary
    step: int
    """Position along the line. Where a number is missing between two marks, a job is not done."""


@dataclass(frozen=True)
class Line:
    """Points that differ only in the axis along which the line runs."""

    values: dict[str, Any]
    """Values that the points have in common, by axis; empty where there is one line."""
    marks: Sequence[Mark]

    @property
    def label(self) -> str:
        """Values as text, such as ``M=2, K=1``."""
        return in_words(self.values)


@dataclass(frozen=True)
class Panel:
    """Lines in the same axes."""

    lines: Sequence[Line]
    title: str = ""


@dataclass(frozen=True)
class Chart:
    """Panels with the same scales and the same styles of lines."""

    panels: Sequence[Panel]
    axes: Sequence[Axis]
    """Axes in whose values the lines of a panel differ."""
    notes: Sequence[str] = ()
    connected: bool = True
    """True if the points of a line are connected, which requires a numeric order."""
    measures_students: bool = True
    """True if an error bar is the spread of the measurements of its point."""
    front: Sequence[Mark] = ()
    """Marks of the Pareto front: no other mark of at most the same size is as good."""

    @property
    def marks(self) -> list[Mark]:
        """The marks of all lines."""
        return [mark for panel in self.panels for line in panel.lines for mark in line.marks]

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """The different values of the lines, in order."""
        return list({line.label: line.values for panel in self.panels for line in panel.lines}.values())


def over_axis(axis: Axis, axes: Sequence[Axis], points: Sequence[Measurement]) -> Chart | None:
    """Accuracy over ``axis``, with a line per combination of the other ``axes``; None with fewer than two values."""
    others = [other for other in axes if other is not axis]
    lines = _lines(others, points, lambda point: axis.place(point.values[axis.key]), axis)
    if len({mark.x for line in lines for mark in line.marks}) < 2:
        return None
    chart = _divided(lines, others) or _averaged(lines)
    return replace(chart, connected=axis.is_numeric) if chart.marks else None


def over_bytes(axes: Sequence[Axis], points: Sequence[Measurement]) -> Chart | None:
    """Accuracy over the bytes of the distilled set; None where all sets have the same size.

    Of the numeric axes that change the size, lines run along the one with most values.
    """
    stored = [point for point in points if bytes_of(point) is not None]
    if len({bytes_of(point) for point in stored}) < 2:
        return None
    along = _along(axes, stored)
    others = [other for other in axes if other is not along]
    lines = _lines(others, stored, bytes_of, along)
    notes = [f"along each line {along.key}={','.join(along.names)}"] if along else []
    chart = _divided(lines, others)
    chart = replace(chart, notes=notes, connected=along is not None) if chart else _scattered(lines)
    return replace(chart, notes=[*chart.notes, _FRONT_NOTE], front=pareto_front(chart.marks))


def pareto_front(marks: Sequence[Mark]) -> list[Mark]:
    """The marks that are better than every other mark of at most their size, in ascending order of size."""
    front: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.x, -mark.score["mean"])):
        if not front or mark.score["mean"] > front[-1].score["mean"]:
            front.append(mark)
    return front


def bytes_of(point: Measurement) -> float | None:
    """Bytes of the distilled set, with its labels; None where they are not recorded."""
    total: float | None = point.runs[0].record["storage"].get(_BYTES)
    return total


def _lines(
    axes: Sequence[Axis], points: Sequence[Measurement], x: Callable[[Measurement], float | None], along: Axis | None
) -> list[Line]:
    """Lines of ``points``, one per combination of values on ``axes``, each in the order of the axis ``along``.

    All points must have a score and a value of ``x``.
    """
    values_of: dict[tuple[int, ...], dict[str, Any]] = {}
    marks: dict[tuple[int, ...], list[Mark]] = {}
    for point in points:
        values = {axis.key: point.values[axis.key] for axis in axes}
        place = tuple(axis.rank(values[axis.key]) for axis in axes)
        step = along.rank(point.values[along.key]) if along else 0
        along_x, score = x(point), point.leading
        assert along_x is not None and score is not None
        values_of[place] = values
        marks.setdefault(place, []).append(Mark(along_x, score, step))
    return [Line(values_of[place], sorted(marks[place], key=lambda mark: mark.step)) for place in sorted(marks)]


def _along(axes: Sequence[Axis], points: Sequence[Measurement]) -> Axis | None:
    """The numeric axis along which bytes change while all other axes are fixed; of several, that with most values."""
    moving = [axis for axis in axes if axis.is_numeric and _moves_bytes(axis, axes, points)]
    return max(moving, key=lambda axis: len(axis.values), default=None)


def _moves_bytes(axis: Axis, axes: Sequence[Axis], points: Sequence[Measurement]) -> bool:
    lines = _lines([other for other in axes if other is not axis], points, bytes_of, axis)
    return any(len({mark.x for mark in line.marks}) > 1 for line in lines)


def _divided(lines: Sequence[Line], axes: Sequence[Axis]) -> Chart | None:
    """Chart of one panel or, where there are too many lines, of a panel per value of an axis.

    None where no axis gives panels with few enough lines.
    """
    if len(lines) <= MOST_LINES:
        return Chart([Panel(lines)], axes)
    for split in sorted(axes, key=lambda axis: len(axis.values)):
        panels = _panels(lines, split)
        if len(panels) <= _MOST_PANELS and max(len(panel.lines) for panel in panels) <= MOST_LINES:
            return Chart(panels, [axis for axis in axes if axis is not split])
    return None


def _panels(lines: Sequence[Line], split: Axis) -> list[Panel]:
    panels = []
    for value in split.values:
        of_panel = [line for line in lines if shown(line.values[split.key]) == shown(value)]
        without = [Line({k: v for k, v in line.values.items() if k != split.key}, line.marks) for line in of_panel]
        if without:
            panels.append(Panel(without, f"{split.key}={shown(value)}"))
    return panels


def _averaged(lines: Sequence[Line]) -> Chart:
    """Mean of the lines that have a point at every place, so that the mean is over the same lines at all places."""
    steps = sorted({mark.step for line in lines for mark in line.marks})
    whole = [line.marks for line in lines if [mark.step for mark in line.marks] == steps]
    marks = [
        Mark(at_place[0].x, summarise([mark.score["mean"] for mark in at_place]), at_place[0].step)
        for at_place in zip(*whole, strict=True)
    ]
    note = (
        f"mean ± one standard deviation over the {len(whole)} of {len(lines)} combinations that are done at all values"
    )
    return Chart([Panel([Line({}, marks)])], [], [note], measures_students=False)


def _scattered(lines: Sequence[Line]) -> Chart:
    """Chart of all points without lines."""
    marks = [mark for line in lines for mark in line.marks]
    note = f"{len(marks)} combinations, one point each; table.csv names them"
    return Chart([Panel([Line({}, marks)])], [], [note], connected=False)
