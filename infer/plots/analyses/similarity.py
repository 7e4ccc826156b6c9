"""Figure of similarity: cosines within and between classes by probe, for the set and for real images."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from infer.config import AnalysisName
from infer.plots.analyses.kind import (
    REAL_COLOUR,
    SET_COLOUR,
    Kind,
    as_array,
    mean,
    name_rows,
    titled_figure,
    written,
)
from infer.tables import count

_SOURCES = (("set", "distilled set", SET_COLOUR, -0.13), ("real", "real images", REAL_COLOUR, 0.13))
"""Key, name, colour, and offset within the row."""
_TITLE = "Similarity of penultimate features"


def _numbers(facts: Mapping[str, Any]) -> dict[str, float | None]:
    probes = facts["probes"].values()
    return {
        f"{pairs} classes, {source}": mean([probe[source][pairs] for probe in probes])
        for source in ("set", "real")
        for pairs in ("within", "between")
    }


def _sentence(facts: Mapping[str, Any]) -> str:
    found = _numbers(facts)
    own, real = found["within classes, set"], found["within classes, real"]
    compared = ""
    if own is not None and real is not None:
        difference = f"{abs(own - real):.3f}"
        compared = f": images of a class are {difference} {'less' if own < real else 'more'} alike than real ones"
    return (
        f"The mean cosine similarity of penultimate features, over {count(facts['probes'], 'probe network')}, "
        f"is {written(own)} within and {written(found['between classes, set'])} between classes of the set, and "
        f"{written(real)} and {written(found['between classes, real'])} for {facts['images']['real']} real "
        f"images{compared}."
    )


def _figure(facts: Mapping[str, Any]) -> Figure:
    probes = facts["probes"]
    figure = titled_figure(_TITLE, facts, 6.4, 1.5 + 0.5 * len(probes))
    axes = figure.subplots()
    for row, probe in enumerate(probes.values()):
        for key, _, colour, offset in _SOURCES:
            for pairs, face in (("within", colour), ("between", "white")):
                low_to_high = _range(probe[key][f"{pairs}_by_class"])
                axes.plot(low_to_high, [row + offset] * len(low_to_high), color=colour, linewidth=1, alpha=0.6)
                axes.plot(as_array([probe[key][pairs]]), [row + offset], "o", color=colour, mfc=face, zorder=3)
    name_rows(axes, list(probes))
    axes.set_xlabel("cosine similarity: mean over pairs, lines from the lowest to the highest class")
    figure.legend(handles=_handles(), loc="outside right center", handlelength=1)
    return figure


def _range(by_class: list[float | None]) -> list[float]:
    known = [value for value in by_class if value is not None]
    return [float(np.min(known)), float(np.max(known))] if known else []


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], marker="o", linestyle="", color=colour, mfc=face, label=f"{name},\n{pairs} classes")
        for _, name, colour, _ in _SOURCES
        for pairs, face in (("within", colour), ("between", "white"))
    ]


KIND = Kind(AnalysisName.similarity, _TITLE, _numbers, _sentence, _figure)
