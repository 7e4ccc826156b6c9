"""The batches of an epoch: what is drawn (at once, on the CPU) and what is formed from it (on the device)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, islice, pairwise

import numpy as np
import torch
from torch import Tensor

from infer.seeds import generator
from infer.training.augment import crop_and_flip, pad_with_black
from infer.training.images import Images
from infer.training.mixing import draw_partners, draw_weights, mix
from infer.training.plan import Plan

Unit = tuple[int | str, ...]
"""(seed, purpose, id ...): names a training for `infer.seeds`."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What one update of the weights is made from."""

    images: Tensor
    """float32 [B, 3, H, W], normalised, augmented and mixed, channels_last."""
    index: Tensor
    """int64 [B]: each image's row in the training set."""
    partner: Tensor | None
    """int64 [B]: the row in the training set of the image mixed in; None without mixing."""
    weight: float
    """Share of the image ``index``; the partner's is 1 - weight. 1.0 without mixing."""


@dataclass(frozen=True, eq=False)
class EpochDraws:
    """Every random number of an epoch; the tensors have one entry per image shown."""

    order: Tensor
    """int64: rows of the training set in the order in which they are shown."""
    top: Tensor
    """int64: the crop's first row in the padded image."""
    left: Tensor
    """int64: its first column."""
    flip: Tensor
    """bool: whether the crop is mirrored."""
    partner: Tensor | None
    """int64: position, within its batch, of the image mixed in."""
    weights: list[float]
    """One mixing weight per batch."""

    def to(self, device: torch.device) -> "EpochDraws":
        """The same draws with the tensors on ``device``."""
        tensors = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)


def draw_epoch(plan: Plan, unit: Unit, epoch: int) -> EpochDraws:
    """The random numbers of ``epoch`` (from 0), which depend on nothing but ``plan``, ``unit`` and ``epoch``.

    An image that joins a single one in the last batch (`Plan.batch_sizes`) is the first of the epoch's order,
    with a crop of its own.
    """
    rng = generator(*unit, epoch)
    shown = sum(plan.batch_sizes)
    order = rng.permutation(plan.num_images)
    order = np.append(order, order[: shown - plan.num_images])
    corners = rng.integers(0, 2 * plan.settings.crop_padding + 1, size=(2, shown))
    flip = rng.random(shown) < 0.5 if plan.settings.flip else np.zeros(shown, dtype=bool)
    partner, weights = None, [1.0] * plan.steps_per_epoch
    if plan.mix_alpha is not None:
        partner = torch.from_numpy(draw_partners(rng, plan.batch_sizes))
        weights = draw_weights(rng, plan.steps_per_epoch, plan.mix_alpha)
    top, left = torch.from_numpy(corners)
    return EpochDraws(torch.from_numpy(order), top, left, torch.from_numpy(flip), partner, weights)


class BatchSource:
    """Forms the batches of any epoch from a training set that stays on its device, as a padded copy."""

    def __init__(self, images: Images, plan: Plan, unit: Unit) -> None:
        self._images = images
        self._size = tuple(images.pixels.shape[2:])
        self._canvas = pad_with_black(images, plan.settings.crop_padding)
        self._plan = plan
        self._unit = unit

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of ``epoch``, as many of them as the plan takes."""
        draws = draw_epoch(self._plan, self._unit, epoch).to(self._canvas.device)
        bounds = pairwise(accumulate(self._plan.batch_sizes, initial=0))
        for number, (start, stop) in enumerate(islice(bounds, len(self._plan.steps_of(epoch)))):
            yield self._batch(draws, slice(start, stop), number)

    def _batch(self, draws: EpochDraws, rows: slice, number: int) -> Batch:
        index = draws.order[rows]
        crops = crop_and_flip(self._canvas, index, draws.top[rows], draws.left[rows], draws.flip[rows], self._size)
        images = self._images.normalised(crops)
        if draws.partner is None:
            return Batch(images, index, None, 1.0)
        partner, weight = draws.partner[rows], draws.weights[number]
        return Batch(mix(images, partner, weight), index, index[partner], weight)
