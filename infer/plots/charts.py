"""Numbers that the plots of a sweep show: lines of measured points, divided into panels that stay readable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infer.plots.axes import Axis
from infer.records.measurements import Measurement, in_words
from infer.records.statistics import Summary, summarise
from infer.tables import shown

MOST_LINES = 12
"""More cannot be told apart in one panel."""
_MOST_PANELS = 9
_BYTES = "total_bytes"
_FRONT_NOTE = "ringed: the Pareto front, better than every other set of at most its bytes"


@dataclass(frozen=True)
class Mark:
    """One measured point of a line."""

    x: float
    score: Summary
    step: int
    """Its position along the line; a gap in these numbers is a job that is not done."""


@dataclass(frozen=True)
class Line:
    """Points that differ in the axis alone that the line runs along."""

    values: dict[str, Any]
    """Values that all of them have, by axis; empty where there is one line."""
    marks: Sequence[Mark]

    @property
    def label(self) -> str:
        """``M=2, K=1``."""
        return in_words(self.values)


@dataclass(frozen=True)
class Panel:
    """Lines in one pair of axes."""

    lines: Sequence[Line]
    title: str = ""


@dataclass(frozen=True)
class Chart:
    """Panels with the same axes and the same looks of lines."""

    panels: Sequence[Panel]
    axes: Sequence[Axis]
    """By which the lines of a panel differ."""
    notes: Sequence[str] = ()
    connected: bool = True
    """True if the points of a line follow each other on a scale."""
    measures_students: bool = True
    """True if a bar is the spread of a point's own measurements."""
    front: Sequence[Mark] = ()
    """Marks of the Pareto front: nothing smaller, or as small, is as good."""

    @property
    def marks(self) -> list[Mark]:
        """The marks of all lines."""
        return [mark for panel in self.panels for line in panel.lines for mark in line.marks]

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """The values of the lines, each combination once, in order."""
        return list({line.label: line.values for panel in self.panels for line in panel.lines}.values())


def over_axis(axis: Axis, axes: Sequence[Axis], points: Sequence[Measurement]) -> Chart | None:
    """Accuracy along ``axis``, one line per combination of the other ``axes``; None without two values to compare."""
    others = [other for other in axes if other is not axis]
    lines = _lines(others, points, lambda point: axis.place(point.values[axis.key]), axis)
    if len({mark.x for line in lines for mark in line.marks}) < 2:
        return None
    chart = _divided(lines, others) or _averaged(lines)
    return replace(chart, connected=axis.is_numeric) if chart.marks else None


def over_bytes(axes: Sequence[Axis], points: Sequence[Measurement]) -> Chart | None:
    """Accuracy over the bytes of the distilled set; None where all sets are of one size.

    The lines run along the numeric axis with most values of those that change the size.
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
    """The marks that are better than every other of at most their size, from the smallest to the largest."""
    front: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.x, -mark.score["mean"])):
        if not front or mark.score["mean"] > front[-1].score["mean"]:
            front.append(mark)
    return front


def bytes_of(point: Measurement) -> float | None:
    """Bytes of the distilled set, labels included."""
    total: float | None = point.runs[0].record["storage"].get(_BYTES)
    return total


def _lines(
    axes: Sequence[Axis], points: Sequence[Measurement], x: Callable[[Measurement], float | None], along: Axis | None
) -> list[Line]:
    """``points``, all with a place and a score, by what they have on ``axes``, in the order of the axis ``along``."""
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
    """The numeric axis with most values of those by which the bytes change while all else stays."""
    moving = [axis for axis in axes if axis.is_numeric and _moves_bytes(axis, axes, points)]
    return max(moving, key=lambda axis: len(axis.values), default=None)


def _moves_bytes(axis: Axis, axes: Sequence[Axis], points: Sequence[Measurement]) -> bool:
    lines = _lines([other for other in axes if other is not axis], points, bytes_of, axis)
    return any(len({mark.x for mark in line.marks}) > 1 for line in lines)


def _divided(lines: Sequence[Line], axes: Sequence[Axis]) -> Chart | None:
    """One panel, or one per value of the axis that leaves few enough lines to each; None where no axis does."""
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
    """The mean of those lines that have a point at every place, so that all places average over the same."""
    steps = sorted({mark.step for line in lines for mark in line.marks})
    whole = [line.marks for line in lines if [mark.step for mark in line.marks] == steps]
    marks = [
        Mark(at_place[0].x, summarise([mark.score["mean"] for mark in at_place]), at_place[0].step)
        for at_place in zip(*whole, strict=True)
    ]
    note = (
        f"mean ± one standard deviation over the {len(whole)} of {len(lines)} combinations that are done at every place"
    )
    return Chart([Panel([Line({}, marks)])], [], [note], measures_students=False)


def _scattered(lines: Sequence[Line]) -> Chart:
    """Every point for itself."""
    marks = [mark for line in lines for mark in line.marks]
    note = f"{len(marks)} combinations, one point each; table.csv names them"
    return Chart([Panel([Line({}, marks)])], [], [note], connected=False)
