"""``samples.png``: images of the distilled set and, for INFER, what its compensators do to natural images."""

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
    """The distilled set of ``run`` under ``title``; None when it has not been made."""
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
    """All classes, or ten of them evenly spread, the first and the last included."""
    places = np.linspace(0, num_classes - 1, min(num_classes, _MAX_CLASSES)).round().astype(int)
    return [int(place) for place in places]


def composition_rows(stored: ComposableImages, archs: Sequence[str], shown: Sequence[int]) -> list[Row]:
    """P_0, for each teacher its compensator before the images composed with it, and P_1 where there is one.

    Of compensators with one per class, that of the first class leads the row.
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
    """Row i shows the i-th image, [H, W, 3], of every column that has as many."""
    return [Row("", list(images)) for images in zip_longest(*columns)]


def _composed_columns(stored: ComposableImages, shown: Sequence[int]) -> list[list[np.ndarray]]:
    """By class the first composed images: of each subset the natural image, then one per compensator."""
    blocks = len(stored.compensators) + 1
    places = [divmod(i, blocks) for i in range(min(MOST_OF_A_CLASS, blocks * len(stored.natural)))]
    images = [
        stored.composed_images(k, block - 1, shown) if block else stored.natural_images(k, shown) for k, block in places
    ]
    return [list(of_class) for of_class in zip(*images, strict=True)]
