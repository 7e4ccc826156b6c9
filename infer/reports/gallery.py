"""Gallery of a distilled set: natural images, compensators and composed images, embedded in the page."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
from PIL import Image

from infer.plots.samples import MOST_OF_A_CLASS, classes_shown
from infer.plots.stored_images import (
    ComposableImages,
    FinishedImages,
    class_names,
    displayed_compensator,
    stored_images,
    stored_logits,
)
from infer.records.run import Run
from infer.reports.page import data_uri

_MOST_SUBSETS = 4
_MOST_RANKED = 8
_LARGEST_EDGE = 128
"""Largest edge of an embedded image in pixels; larger images are reduced."""
_LARGEST_LOSSLESS_EDGE = 64
"""Largest edge in pixels of images that are embedded losslessly and whose pixels are shown as squares."""


@dataclass(frozen=True)
class Tile:
    """An image with its caption."""

    uri: str
    caption: str


@dataclass(frozen=True)
class TileRow:
    """A row of images; None leaves a place empty."""

    label: str
    tiles: Sequence[Tile | None]


@dataclass(frozen=True)
class Grid:
    """Rows of images below the names of the columns."""

    title: str
    heads: Sequence[str]
    rows: Sequence[TileRow]
    is_small: bool

    @property
    def width(self) -> int:
        """Number of columns of images."""
        return len(self.heads)


@dataclass(frozen=True)
class Gallery:
    """Images of a distilled set."""

    note: str
    is_small: bool
    """True if pixels are shown as squares."""
    subsets: Sequence[Grid]
    ranked: dict[str, list[Tile]] = field(default_factory=dict)
    """By title, the images of whose classes the teachers are most certain, and least certain."""


def gallery_of(run: Run) -> Gallery | None:
    """Gallery of the distilled set of ``run``, with at most ten classes and four subsets; None without a set."""
    stored = stored_images(run)
    if stored is None:
        return None
    names = class_names(run.manifest)
    shown = classes_shown(len(names))
    if isinstance(stored, FinishedImages):
        grids, count = [_finished(stored, names, shown)], len(stored.images)
        several = f"the first {MOST_OF_A_CLASS} of each class"
    else:
        subsets, classes = stored.natural.shape[:2]
        grids = [_subset(stored, k, names, shown) for k in range(min(subsets, _MOST_SUBSETS))]
        count, several = (len(stored.compensators) + 1) * subsets * classes, f"{len(grids)} of {subsets} subsets"
    note = f"{count:,} images as a student sees them; shown are {several}"
    note += f" and {len(shown)} of {len(names)} classes." if len(shown) < len(names) else "."
    return Gallery(note, grids[0].is_small, grids, _ranked(run, stored, names))


def _subset(stored: ComposableImages, k: int, names: Sequence[str], shown: Sequence[int]) -> Grid:
    """Grid of subset P_k and, for each teacher, its compensator and the images composed with it."""
    heads = ["u", *(names[c] for c in shown)]
    natural = [tile(image, f"{names[c]}, natural, k={k}") for c, image in _each(shown, stored.natural_images(k, shown))]
    rows = [TileRow(f"natural images, k={k}", [None, *natural])]
    for teacher, u in enumerate(stored.compensators[:, k, 0]):
        arch = stored.teacher_names[teacher]
        largest = float(np.abs(u).max())
        scale = (
            f"compensator of {arch}, k={k}: black is −{largest:.2f}, grey 0, white {largest:.2f} standard deviations"
        )
        images = _each(shown, stored.composed_images(k, teacher, shown))
        tiles = [tile(image, f"{names[c]} + u of {arch}, k={k}") for c, image in images]
        label = f"{arch}, ‖u‖ = {np.linalg.norm(u):.1f}, max |u| = {largest:.2f}"
        rows.append(TileRow(label, [tile(displayed_compensator(u), scale), *tiles]))
    return Grid(f"Subset k={k}", heads, rows, _is_small(stored.natural[k, 0]))


def _finished(stored: FinishedImages, names: Sequence[str], shown: Sequence[int]) -> Grid:
    columns = [
        [tile(image, names[c]) for image in images]
        for c, images in _each(shown, stored.first_of(shown, MOST_OF_A_CLASS))
    ]
    rows = [TileRow("", tiles) for tiles in zip_longest(*columns)]
    return Grid("Images", [names[c] for c in shown], rows, _is_small(stored.images[0]))


def _ranked(run: Run, stored: ComposableImages | FinishedImages, names: Sequence[str]) -> dict[str, list[Tile]]:
    """The images with the highest and the lowest probability of their class in the stored labels, by title.

    Empty where no logits are stored.
    """
    logits = stored_logits(run)
    if logits is None:
        return {}
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    targets = _targets(stored, len(logits))
    of_target = probabilities[np.arange(len(targets)), targets]
    order = np.argsort(-of_target, kind="stable")
    chosen = {"Most confident labels": order[:_MOST_RANKED], "Least confident labels": order[::-1][:_MOST_RANKED]}
    return {
        title: [_ranked_tile(stored, int(i), names, of_target[i], int(probabilities[i].argmax())) for i in positions]
        for title, positions in chosen.items()
    }


def _ranked_tile(
    stored: ComposableImages | FinishedImages, position: int, names: Sequence[str], share: float, label: int
) -> Tile:
    if isinstance(stored, FinishedImages):
        image, target, where = stored.images[position], int(stored.targets[position]), f"image {position}"
    else:
        image, k, block, target = stored.image(position)
        where = f"k={k}, " + (f"u of {stored.teacher_names[block - 1]}" if block else "natural")
    taken = "" if label == target else f", taken for {names[label]}"
    return tile(image, f"{names[target]}: {100 * share:.0f} %{taken} ({where})")


def _targets(stored: ComposableImages | FinishedImages, count: int) -> np.ndarray:
    """Classes of the images in the order of the labels."""
    return stored.targets if isinstance(stored, FinishedImages) else np.arange(count) % stored.natural.shape[1]


def tile(image: np.ndarray, caption: str) -> Tile:
    """``image`` [H, W, 3], uint8 or float in [0, 1], losslessly where it is small, else reduced to 128 pixels."""
    levels = image if image.dtype == np.uint8 else (image * 255).round().astype(np.uint8)
    picture, content = Image.fromarray(levels), io.BytesIO()
    if max(picture.size) <= _LARGEST_LOSSLESS_EDGE:
        picture.save(content, "png", optimize=True)
        return Tile(data_uri(content.getvalue(), ".png"), caption)
    picture.thumbnail((_LARGEST_EDGE, _LARGEST_EDGE))
    picture.save(content, "webp", quality=85)
    return Tile(data_uri(content.getvalue(), ".webp"), caption)


def _each(classes: Sequence[int], images: Sequence[np.ndarray] | np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    return zip(classes, images, strict=True)


def _is_small(image: np.ndarray) -> bool:
    return bool(max(image.shape) <= _LARGEST_LOSSLESS_EDGE)
