"""``samples.png``: images of the distilled set and, for INFER, natural images before and after adding compensators."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from matplotlib.figure import Figure

from infer.plots.mosaic import Mosaic, Row
from infer.plots.stored_images import (
    ComposableImages,
    FinishedImages,
    class_names,
    displayed_compensator,
    stored_images,
)
from infer.records.run import Run

_MAX_CLASSES = 10
MOST_OF_A_CLASS = 6
_NOTE = (
    "u: black is −max |u|, grey 0, white max |u|, each compensator on its own scale; "
    "‖u‖ and max |u| in normalised units (standard deviations of a channel)"
)


def samples_of(run: Run, title: str) -> Figure | None:
    """Picture of the distilled set of ``run`` with a ``title``; None where the set has not been made."""
    stored = stored_images(run)
    if stored is None:
        return None
    names = class_names(run.manifest)
    shown = classes_shown(len(names))
    if len(shown) < len(names):
        title += f" ({len(shown)} of {len(names)} classes)"
    heads = [names[c] for c in shown]
    if isinstance(stored, FinishedImages):
        return Mosaic(title, heads, _image_rows(stored.first_of(shown, MOST_OF_A_CLASS))).figure()
    if stored.archs is None:
        return Mosaic(title, heads, _image_rows(_composed_columns(stored, shown))).figure()
    return Mosaic(title, heads, composition_rows(stored, stored.archs, shown), "compensator u", _NOTE).figure()


def classes_shown(num_classes: int) -> list[int]:
    """All classes or, where there are more than ten, ten evenly spaced ones from the first to the last."""
    places = np.linspace(0, num_classes - 1, min(num_classes, _MAX_CLASSES)).round().astype(int)
    return [int(place) for place in places]


def composition_rows(stored: ComposableImages, archs: Sequence[str], shown: Sequence[int]) -> list[Row]:
    """Rows of the natural subset P_0, of each teacher's compensator and the images composed with it, and of P_1.

    P_1 is left out where there is one subset. Where a teacher has a compensator per class, that of the first class is
    shown.
    """
    rows = [Row("real images\nP₀", list(stored.natural_images(0, shown)))]
    for teacher, arch in enumerate(archs):
        u = stored.compensators[teacher, 0, 0]
        label = f"{arch}\nclip(P₀ + u)\n‖u‖ = {np.linalg.norm(u):.2f}\nmax |u| = {np.abs(u).max():.2f}"
        rows.append(Row(label, list(stored.composed_images(0, teacher, shown)), lead=displayed_compensator(u)))
    if len(stored.natural) > 1:
        rows.append(Row("real images\nP₁", list(stored.natural_images(1, shown)), apart=True))
    return rows


def _image_rows(columns: Sequence[Sequence[np.ndarray] | np.ndarray]) -> list[Row]:
    """Rows of images [H, W, 3]; row i shows the i-th image of every column, if it has one."""
    return [Row("", list(images)) for images in zip_longest(*columns)]


def _composed_columns(stored: ComposableImages, shown: Sequence[int]) -> list[list[np.ndarray]]:
    """The first images of each class, in the order of composition: the natural image of a subset, then one for each
    compensator."""
    blocks = len(stored.compensators) + 1
    places = [divmod(i, blocks) for i in range(min(MOST_OF_A_CLASS, blocks * len(stored.natural)))]
    images = [
        stored.composed_images(k, block - 1, shown) if block else stored.natural_images(k, shown) for k, block in places
    ]
    return [list(of_class) for of_class in zip(*images, strict=True)]
