"""Figure of dominance: norms, clipped values and variances by teacher, with a dot per subset."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infer.config import AnalysisName
from infer.plots.analyses.kind import SET_COLOUR, Kind, as_array, name_rows, titled_figure, written
from infer.plots.style import NOTE_COLOUR, WARNING_COLOUR, write_caption

_PANELS = (
    ("norm_ratio", "norm ratio ‖u‖ / ‖P‖", 1),
    ("clipped_share", "clipped values (%)", 100),
    ("contrast", "contrast (× natural)", 1),
    ("diversity", "diversity (× natural)", 1),
)
"""Key, title, and factor that converts to the unit."""
_TITLE = "Weight of compensators"


def _numbers(facts: Mapping[str, Any]) -> dict[str, float | None]:
    means = {key: float(np.nanmean(as_array(facts[key]))) for key, _, _ in _PANELS}
    return {
        "norm ratio": means["norm_ratio"],
        "clipped %": 100 * means["clipped_share"],
        "contrast": means["contrast"],
        "diversity": means["diversity"],
    }


def _sentence(facts: Mapping[str, Any]) -> str:
    found = _numbers(facts)
    return (
        f"The norm of a compensator is {written(found['norm ratio'])} of that of the images it is added to, "
        f"{written(found['clipped %'], '.0f')} % of the values of the sums are clipped, and composed images keep "
        f"{written(found['contrast'])} of the variance within and {written(found['diversity'])} of that between "
        "natural images."
    )


def _figure(facts: Mapping[str, Any]) -> Figure:
    teachers = facts["teachers"]
    figure = titled_figure(_TITLE, facts, 9.2, 1.75 + 0.32 * len(teachers))
    all_axes = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (key, title, factor) in zip(all_axes, _PANELS, strict=True):
        _draw(axes, factor * as_array(facts[key]))
        limit = facts["limits"].get(key)
        if limit is not None:
            axes.axvline(factor * limit, color=WARNING_COLOUR, linestyle="--", linewidth=1)
        elif factor == 1:
            axes.axvline(1, color=NOTE_COLOUR, linestyle=":", linewidth=1)
        axes.set_xlim(0, None)
        axes.set_title(title)
        name_rows(axes, teachers)
    write_caption(figure, "a dot per natural subset, bars at their means; dashed: a run warns above it", size=7.5)
    return figure


def _draw(axes: Axes, values: np.ndarray) -> None:
    """Draw ``values`` [M, K] as dots, and a bar at the mean of every row."""
    for row, of_teacher in enumerate(values):
        axes.plot(of_teacher, [row] * len(of_teacher), "o", color=SET_COLOUR, alpha=0.35, mew=0, markersize=5)
        axes.plot([np.nanmean(of_teacher)], [row], "|", color="black", markersize=11, mew=1.6)


KIND = Kind(AnalysisName.dominance, _TITLE, _numbers, _sentence, _figure)
