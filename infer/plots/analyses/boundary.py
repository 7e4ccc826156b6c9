"""Figure of boundary: embedded features, one panel per set, on a background of the class predicted for the nearest
point.

Panels of students are embedded separately, with their distilled images as diamonds. Panels of one teacher are embedded
together and have the same background.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
"""Number of places along the edge of a panel for which the class of the nearest point is found."""
_MARGIN = 0.05
_OTHER_COLOUR, _BACKGROUND_OPACITY = "#9a9a9a", 0.28
_TITLE = "Features and decision regions"
_BEHIND = "behind: the class predicted for the nearest point"


def _of_students(facts: Mapping[str, Any]) -> bool:
    """True if every panel shows another network."""
    return "network" not in facts


def _names(panels: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the panels, with a number where several panels have the same name."""
    names = [panel["name"] for panel in panels]
    count: Counter[str] = Counter(names)
    return [name if count[name] == 1 else f"{name} ({number})" for number, name in enumerate(names, start=1)]


def _numbers(facts: Mapping[str, Any]) -> dict[str, float | None]:
    panels = facts["panels"]
    if _of_students(facts):
        named = [
            (f", {name}" if len(panels) > 1 else "", each) for name, each in zip(_names(panels), panels, strict=True)
        ]
    else:
        real, *sets = panels
        shown = [(name if len(sets) > 1 else "set", each) for name, each in zip(_names(sets), sets, strict=True)]
        named = [(f", {name}", each) for name, each in [("real", real), *shown]]
    return {
        f"{label}{name}": panel[key]
        for name, panel in named
        for key, label in (("accuracy", "accuracy %"), ("silhouette", "silhouette"))
    }


def _sentence(facts: Mapping[str, Any]) -> str:
    *most, last = facts["classes"].values()
    classes = f"the classes {', '.join(most)} and {last}"
    scores = [
        f"{written(panel['accuracy'], '.1f')} %{{}} (silhouette {written(panel['silhouette'])})"
        for panel in facts["panels"]
    ]
    if _of_students(facts):
        found = [
            f"{panel['network']} trained on {panel['name']} with {panel['labels']} labels is right on "
            f"{score.format('')}"
            for panel, score in zip(facts["panels"], scores, strict=True)
        ]
        return f"On {facts['images']} images of {classes}, {', and '.join(found)}."
    *parts, end = [score.format(f" of {panel['name']}") for panel, score in zip(facts["panels"], scores, strict=True)]
    return f"On {classes}, {facts['network']} is right on {', '.join(parts)} and {end}."


def _figure(facts: Mapping[str, Any]) -> Figure:
    panels = facts["panels"]
    figure = titled_figure(_TITLE, facts, 3.0 * len(panels) + 1.3, 4.1 if _of_students(facts) else 3.7)
    write_caption(figure, f"{_told(facts)}; {_BEHIND}", size=7.5)
    colours = {int(c): _colour(place) for place, c in enumerate(facts["classes"])}
    groups = [[panel] for panel in panels] if _of_students(facts) else [panels]
    backgrounds = [
        background for group in groups for background in [_regions(*_points_of(group), colours)] * len(group)
    ]
    for axes, panel, (extent, regions) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, backgrounds, strict=True
    ):
        axes.imshow(regions, extent=extent, origin="lower", aspect="equal", interpolation="nearest")
        _draw_points(axes, panel, colours)
        axes.set_title(_panel_title(panel))
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(False)
    figure.legend(handles=list(_handles(facts, colours)), loc="outside right center", handlelength=1)
    return figure


def _told(facts: Mapping[str, Any]) -> str:
    if _of_students(facts):
        return f"t-SNE of each student's penultimate features, {facts['images']} and distilled images"
    return f"t-SNE of the penultimate features of {facts['network']}"


def _panel_title(panel: Mapping[str, Any]) -> str:
    scores = f"accuracy {written(panel['accuracy'], '.1f')} %, silhouette {written(panel['silhouette'])}"
    if "network" not in panel:
        return f"{panel['name']}\n{scores}"
    return f"{panel['method']}, {panel['labels']} labels\nstudent {panel['network']}\n{scores}"


def _colour(place: int) -> str:
    return PALETTE[place % (len(PALETTE) - 1)]


def _points_of(panels: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Places [n, 2] and predicted classes [n] of all points of ``panels``."""
    groups = [points for panel in panels for points in (panel, panel.get("distilled")) if points]
    places = np.concatenate([np.array(points["places"], dtype=float).reshape(-1, 2) for points in groups])
    return places, np.concatenate([np.array(points["predicted"], dtype=int) for points in groups])


def _regions(
    places: np.ndarray, predicted: np.ndarray, colours: Mapping[int, str]
) -> tuple[tuple[float, float, float, float], np.ndarray]:
    """Extent and background colours, [_GRID, _GRID, 3], of a square around all ``places``."""
    centre = (places.max(axis=0) + places.min(axis=0)) / 2
    half = (0.5 + _MARGIN) * (np.ptp(places, axis=0).max() or 1)
    steps = np.linspace(-half, half, _GRID)
    grid = np.stack(np.meshgrid(centre[0] + steps, centre[1] + steps), axis=-1)
    nearest = KNeighborsClassifier(1).fit(places, predicted).predict(grid.reshape(-1, 2))
    solid = {c: np.array(to_rgb(colours.get(int(c), _OTHER_COLOUR))) for c in np.unique(nearest)}
    faint = {c: 1 - _BACKGROUND_OPACITY * (1 - colour) for c, colour in solid.items()}
    extent = (centre[0] - half, centre[0] + half, centre[1] - half, centre[1] + half)
    return extent, np.array([faint[c] for c in nearest]).reshape(_GRID, _GRID, 3)


def _draw_points(axes: Axes, panel: Mapping[str, Any], colours: Mapping[int, str]) -> None:
    places, targets = np.array(panel["places"]), np.array(panel["targets"])
    right = targets == np.array(panel["predicted"])
    of_class = np.array([colours[int(c)] for c in targets])
    x, y = places.T
    axes.scatter(x[right], y[right], c=of_class[right], s=14, linewidths=0.4, edgecolors="white", zorder=3)
    axes.scatter(x[~right], y[~right], c=of_class[~right], s=22, linewidths=1.3, marker="x", zorder=4)
    if panel.get("distilled", {}).get("places"):
        x, y = np.array(panel["distilled"]["places"]).T
        edges = [colours[int(c)] for c in panel["distilled"]["targets"]]
        axes.scatter(x, y, c="white", s=13, linewidths=1.2, marker="D", edgecolors=edges, zorder=5)


def _handles(facts: Mapping[str, Any], colours: Mapping[int, str]) -> Iterator[Line2D]:
    panels = facts["panels"]
    dot: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 5}
    for c, name in facts["classes"].items():
        yield Line2D([], [], color=colours[int(c)], label=name, **dot)
    if any(panel.get("distilled", {}).get("places") for panel in panels):
        look = dot | {"marker": "D", "markeredgecolor": "#444444", "markeredgewidth": 1.2, "markersize": 3.6}
        yield Line2D([], [], color="white", label="distilled\nimage", **look)
    if any(panel["targets"] != panel["predicted"] for panel in panels):
        yield Line2D([], [], color="#444444", label="wrongly\npredicted", **dot | {"marker": "x"})
    if set(_points_of(panels)[1].tolist()) - set(colours):
        yield Line2D([], [], color="#e2e2e2", label="region of\nother classes", **dot | {"marker": "s"})


KIND = Kind(AnalysisName.boundary, _TITLE, _numbers, _sentence, _figure)
