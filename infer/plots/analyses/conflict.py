"""Figure of conflict: cosines between teachers' compensators, and accuracies of networks on blocks of the set."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infer.config import AnalysisName
from infer.plots.analyses.kind import Kind, as_array, mean, titled_figure
from infer.plots.cells import numbered_cells
from infer.plots.style import write_caption
from infer.tables import count

_TITLE = "Agreement of compensators"
_CELL = 0.55
"""Edge of a cell in inches."""


def _numbers(facts: Mapping[str, Any]) -> dict[str, float | None]:
    own, others = _accuracies(facts)
    return {
        "mean cosine": facts["mean_cosine"],
        "accuracy %, natural": mean([row[0] for row in facts["accuracy"]]),
        "accuracy %, own compensators": own,
        "accuracy %, others' compensators": others,
    }


def _accuracies(facts: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Mean accuracy of the networks on images with their own compensators, and on images with those of others."""
    values, probes = as_array(facts["accuracy"]), facts["probes"]
    is_own = np.array([[probe == block for block in facts["blocks"][1:]] for probe in probes])
    return mean(values[:, 1:][is_own]), mean(values[:, 1:][~is_own])


def _sentence(facts: Mapping[str, Any]) -> str:
    found = _numbers(facts)
    if facts["mean_cosine"] is None:
        agreement = "There is one teacher, so its compensators have no others to agree with"
    else:
        number = count(facts["teachers"], "teacher")
        agreement = f"The mean cosine between the compensators of {number} is {facts['mean_cosine']:.2f}"
    on_blocks = [
        (found["accuracy %, own compensators"], "images with their own compensators"),
        (found["accuracy %, others' compensators"], "images with those of others"),
        (found["accuracy %, natural"], "the natural ones"),
    ]
    known = [f"{value:.1f} % of {what}" for value, what in on_blocks if value is not None]
    return f"{agreement}; classified correctly by {count(facts['probes'], 'network')}: {', '.join(known)}."


def _figure(facts: Mapping[str, Any]) -> Figure:
    teachers, blocks, probes = facts["teachers"], facts["blocks"], facts["probes"]
    has_pairs = len(teachers) > 1
    columns = [len(teachers), len(blocks)] if has_pairs else [len(blocks)]
    rows = max(len(teachers), len(probes))
    figure = titled_figure(_TITLE, facts, _CELL * sum(columns) + 2.2 * len(columns) + 0.6, _CELL * rows + 2.4)
    both = figure.subplots(1, len(columns), squeeze=False, width_ratios=columns)[0]
    if has_pairs:
        numbered_cells(both[0], as_array(facts["cosine"]), ".2f", -1, 1, "PuOr")
        both[0].set_title("cosine")
        _name(both[0], teachers, teachers)
    accuracy = as_array(facts["accuracy"])
    numbered_cells(both[-1], accuracy, ".1f", min(90.0, float(np.nanmin(accuracy))), 100)
    both[-1].set_title("accuracy (%)")
    _name(both[-1], probes, blocks)
    told = "accuracy: of the network of the row on natural images, and on those with the compensator of the column"
    subsets = count(facts["cosine_by_subset"], "natural subset")
    write_caption(figure, f"cosine: between compensators, mean over {subsets}; {told}" if has_pairs else told, size=7.5)
    return figure


def _name(axes: Axes, rows: list[str], columns: list[str]) -> None:
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")


KIND = Kind(AnalysisName.conflict, _TITLE, _numbers, _sentence, _figure)
