"""``samples.png``: images of the distilled set and, for INFER, what its compensators do to natural images."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from infer.data.imagenet import in_words
from infer.distilled.compose import compose
from infer.evaluation.comparison import Evaluation
from infer.methods.sets.infer_set import InferSet
from infer.normalisation import Normalisation, channelwise
from infer.pictures.mosaic import Mosaic, Row
from infer.training.images import Images

_MAX_CLASSES = 10
_MAX_IMAGES = 6
_NOTE = (
    "u: black is −max |u|, grey 0, white max |u|, each compensator on its own scale; "
    "‖u‖ and max |u| in normalised units (standard deviations of a channel)"
)


def samples_of(evaluation: Evaluation, title: str) -> Figure | None:
    """The distilled set of ``trial`` under ``title``; None when it has not been made."""
    context, images = evaluation.context, evaluation.labelled.images
    if not context.store.exists(images):
        return None
    data = context.data
    shown = classes_shown(data.num_classes)
    if len(shown) < data.num_classes:
        title += f" ({len(shown)} of {data.num_classes} classes)"
    heads = in_words([data.classes[c] for c in shown])
    if isinstance(images, InferSet):
        natural, compensators = images.parts()
        archs = [teacher.arch for teacher in images.teachers]
        rows = composition_rows(natural[:, shown], compensators, archs, data.normalisation)
        return Mosaic(title, heads, rows, "compensator u", _NOTE).figure()
    stored, targets = images.images(), images.targets()
    rows = image_rows([displayed(_first_of_class(c, stored, targets)) for c in shown])
    return Mosaic(title, heads, rows).figure()


def classes_shown(num_classes: int) -> list[int]:
    """All classes, or ten of them evenly spread, the first and the last included."""
    return np.linspace(0, num_classes - 1, min(num_classes, _MAX_CLASSES)).round().astype(int).tolist()


def composition_rows(
    natural: Tensor, compensators: Tensor, archs: Sequence[str], normalisation: Normalisation
) -> list[Row]:
    """P_0, for each teacher its compensator before the images composed with it, and P_1 where there is one.

    ``natural`` is uint8 [K, C, 3, H, W], ``compensators`` float32 [M, K, 3, H, W] in normalised units.
    """
    classes = natural.shape[1]
    composed = displayed(Images(compose(natural[:1], compensators[:, :1], normalisation), normalisation))
    rows = [Row("real images\nP₀", displayed(Images(natural[0], normalisation)))]
    for block, (arch, u) in enumerate(zip(archs, compensators[:, 0], strict=True), start=1):
        label = f"{arch}\nclip(P₀ + u)\n‖u‖ = {u.norm():.2f}\nmax |u| = {u.abs().max():.2f}"
        images = composed[block * classes : (block + 1) * classes]
        rows.append(Row(label, images, lead=displayed_compensator(u)))
    if len(natural) > 1:
        rows.append(Row("real images\nP₁", displayed(Images(natural[1], normalisation)), apart=True))
    return rows


def image_rows(columns: Sequence[Sequence[np.ndarray]]) -> list[Row]:
    """Row i shows the i-th image, [H, W, 3], of every column that has as many."""
    depth = max(map(len, columns))
    return [Row("", [column[i] if i < len(column) else None for column in columns]) for i in range(depth)]


def displayed_compensator(u: Tensor) -> np.ndarray:
    """``u`` [3, H, W], normalised units, as 0.5 + u / (2 max|u|): float32 [H, W, 3], grey where u is zero."""
    largest = u.abs().max().clamp_min(torch.finfo(u.dtype).tiny)
    return (0.5 + u / (2 * largest)).permute(1, 2, 0).numpy()


def displayed(images: Images) -> list[np.ndarray]:
    """Every image as [H, W, 3]: bytes as they are, normalised values as float32 in [0, 1]."""
    pixels = images.pixels
    if not images.stored_as_bytes:
        pixels = (pixels * channelwise(images.normalisation.std) + channelwise(images.normalisation.mean)).clamp(0, 1)
    return list(pixels.permute(0, 2, 3, 1).numpy())


def _first_of_class(target: int, images: Images, targets: Tensor) -> Images:
    rows = (targets == target).nonzero().flatten()[:_MAX_IMAGES]
    return replace(images, pixels=images.pixels[rows])
