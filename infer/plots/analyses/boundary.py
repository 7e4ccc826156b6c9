"""Figure of boundary: embedded features, one panel per set, before the predicted class of the nearest point."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.neighbors import KNeighborsClassifier

from infer.config import AnalysisName
from infer.plots.analyses.kind import Kind, titled_figure, written
from infer.plots.style import PALETTE, write_caption

_GRID = 300
"""Places along an edge of a panel at which the class is looked up."""
_MARGIN = 0.05
_OTHER, _FAINT = "#9a9a9a", 0.28
_TITLE = "Features and decision regions"


def _numbers(facts: Mapping[str, Any]) -> dict[str, float | None]:
    real, *sets = facts["panels"]
    named = [("real", real), *((each["name"] if len(sets) > 1 else "set", each) for each in sets)]
    return {
        f"{label}, {name}": panel[key]
        for name, panel in named
        for key, label in (("accuracy", "accuracy %"), ("silhouette", "silhouette"))
    }


def _sentence(facts: Mapping[str, Any]) -> str:
    *most, last = facts["classes"].values()
    parts = [
        f"{written(panel['accuracy'], '.1f')} % of {panel['name']} (silhouette {written(panel['silhouette'])})"
        for panel in facts["panels"]
    ]
    return (
        f"Of the classes {', '.join(most)} and {last}, {facts['network']} recognises {', '.join(parts[:-1])} and "
        f"{parts[-1]}."
    )


def _figure(facts: Mapping[str, Any]) -> Figure:
    panels = facts["panels"]
    figure = titled_figure(_TITLE, facts, 3.0 * len(panels) + 1.3, 3.7)
    told = f"t-SNE of the penultimate features of {facts['network']}; behind: the class predicted for the nearest point"
    write_caption(figure, told, size=7.5)
    colours = {int(c): _colour(place) for place, c in enumerate(facts["classes"])}
    places = np.concatenate([np.array(panel["places"]) for panel in panels])
    predicted = np.concatenate([panel["predicted"] for panel in panels])
    extent, regions = _regions(places, predicted, colours)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.imshow(regions, extent=extent, origin="lower", aspect="equal", interpolation="nearest")
        _draw_points(axes, panel, colours)
        scores = f"accuracy {written(panel['accuracy'], '.1f')} %, silhouette {written(panel['silhouette'])}"
        axes.set_title(f"{panel['name']}\n{scores}")
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(False)
    figure.legend(handles=_handles(facts, colours, predicted), loc="outside right center", handlelength=1)
    return figure


def _colour(place: int) -> str:
    return PALETTE[place % (len(PALETTE) - 1)]


def _regions(
    places: np.ndarray, predicted: np.ndarray, colours: Mapping[int, str]
) -> tuple[tuple[float, float, float, float], np.ndarray]:
    """Extent and colours [_GRID, _GRID, 3] of a square around all ``places``."""
    centre = (places.max(axis=0) + places.min(axis=0)) / 2
    half = (0.5 + _MARGIN) * (np.ptp(places, axis=0).max() or 1)
    steps = np.linspace(-half, half, _GRID)
    grid = np.stack(np.meshgrid(centre[0] + steps, centre[1] + steps), axis=-1)
    nearest = KNeighborsClassifier(1).fit(places, predicted).predict(grid.reshape(-1, 2))
    faint = {c: 1 - _FAINT * (1 - np.array(to_rgb(colours.get(int(c), _OTHER)))) for c in np.unique(nearest)}
    extent = (centre[0] - half, centre[0] + half, centre[1] - half, centre[1] + half)
    return extent, np.array([faint[c] for c in nearest]).reshape(_GRID, _GRID, 3)


def _draw_points(axes: Axes, panel: Mapping[str, Any], colours: Mapping[int, str]) -> None:
    places, targets = np.array(panel["places"]), np.array(panel["targets"])
    right = targets == np.array(panel["predicted"])
    of_class = np.array([colours[int(c)] for c in targets])
    x, y = places.T
    axes.scatter(x[right], y[right], c=of_class[right], s=14, linewidths=0.4, edgecolors="white", zorder=3)
    axes.scatter(x[~right], y[~right], c=of_class[~right], s=22, linewidths=1.3, marker="x", zorder=4)


def _handles(facts: Mapping[str, Any], colours: Mapping[int, str], predicted: np.ndarray) -> list[Line2D]:
    dot: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 5}
    handles = [Line2D([], [], color=colours[int(c)], label=name, **dot) for c, name in facts["classes"].items()]
    if any(
        target != found
        for panel in facts["panels"]
        for target, found in zip(panel["targets"], panel["predicted"], strict=True)
    ):
        handles.append(Line2D([], [], color="#444444", label="wrongly\npredicted", **dot | {"marker": "x"}))
    if set(predicted.tolist()) - set(colours):
        handles.append(Line2D([], [], color="#e2e2e2", label="region of\nother classes", **dot | {"marker": "s"}))
    return handles


KIND = Kind(AnalysisName.boundary, _TITLE, _numbers, _sentence, _figure)
