"""Plots of a sweep: costs over sizes; accuracy over bytes and over every axis; with two axes a heat map, with more
parallel coordinates."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from infer.plots.axes import axes_of
from infer.plots.charts import over_axis, over_bytes
from infer.plots.frame import Words
from infer.plots.heat_map import heat_map
from infer.plots.line_plot import Scale, line_plot
from infer.plots.parallel import parallel_coordinates
from infer.plots.scale import scale_plot
from infer.plots.style import save_in_all_forms
from infer.records.measurements import Measurement, measurements_of
from infer.records.rows import Rows
from infer.records.scale import cost_lines
from infer.tables import count


def draw(rows: Rows, folder: Path) -> list[str]:
    """Write all plots that the finished jobs allow, as PNG, SVG and PDF, and return the names of the PNG files."""
    drawn = []
    for name, figure in figures_of(rows):
        save_in_all_forms(figure, folder, name)
        drawn.append(f"{name}.png")
    return drawn


def figures_of(rows: Rows) -> Iterator[tuple[str, Figure]]:
    """Name of the file, without extension, and figure of each plot."""
    if lines := cost_lines(rows.runs):
        yield "scale", scale_plot(lines, _title(rows))
    points = [point for point in measurements_of(rows) if point.leading is not None]
    axes = axes_of(rows)
    if not points or not axes:
        return
    words, y_title = _words(rows, points), _y_title(points)
    if chart := over_bytes(axes, points):
        scale = Scale("bytes of the distilled set, labels included", None)
        yield "accuracy_over_bytes", line_plot(chart, scale, y_title, words)
    for axis in axes:
        if chart := over_axis(axis, axes, points):
            yield f"accuracy_over_{axis.file_name}", line_plot(chart, Scale(axis.title, axis), y_title, words)
    if len(axes) == 2:
        yield f"heatmap_{axes[0].file_name}_{axes[1].file_name}", heat_map(axes, points, y_title, words)
    if len(axes) > 2:
        yield "parallel_coordinates", parallel_coordinates(axes, points, y_title, words)


def _words(rows: Rows, points: Sequence[Measurement]) -> Words:
    unlike = "; ".join(f"{what.lower()} {', '.join(values)}" for what, values in rows.unlike.items())
    missing = len(rows.runs) - len(rows.done)
    return Words(
        title=_title(rows),
        measurement=_measurement(points),
        notes=[f"{missing} of {count(rows.runs, 'job')} not done and left out"] * bool(missing),
        warning=f"Not comparable with each other: {unlike}" if unlike else None,
    )


def _title(rows: Rows) -> str:
    """Title with the settings that all points have in common."""
    options, equal = rows.variation.same_choices, rows.variation.equal
    # The name of a data set in a folder is a setting.
    options = options | ({"dataset": equal["dataset.name"]} if "dataset.name" in equal else {})
    named = [str(options[group]) for group in ("dataset", "method", "labeling") if options.get(group)]
    numbers = [f"{key}={equal[key]}" for key in ("ipc", "M", "K") if key in equal]
    return ", ".join([*named, *numbers]) or "sweep"


def _measurement(points: Sequence[Measurement]) -> str:
    """Text that explains a point and its error bar, with the student and the protocol of the measurement."""
    sizes = sorted({point.leading["n"] for point in points if point.leading})
    n = " to ".join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))
    runs = [run for point in points for run in point.runs]
    student = _only({next(iter(run.record["per_student"]), "") for run in runs})
    protocol = _only({str(run.protocol) for run in runs})
    noun = "seed" if points[0].over_seeds else "student"
    return (
        ("one" if sizes == [1] else f"mean ± one standard deviation over {n}")
        + f" {noun}{'s' * (sizes != [1])}"
        + (f" ({student})" if student else "")
        + (f", protocol {protocol}" if protocol else "")
        + (", val: held-out training images" if any(point.split == "val" for point in points) else "")
    )


def _only(names: set[str]) -> str | None:
    """The only name in ``names``; None where there are several."""
    return names.pop() if len(names) == 1 else None


def _y_title(points: Sequence[Measurement]) -> str:
    split = _only({point.split for point in points})
    return f"top-1 on {split}, %" if split else "top-1, %"
